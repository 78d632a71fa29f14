"""Who may call: services by API key, from the settings or issued by `analytics keys`."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from runtime import api_keys
from schemas.access import IssuedKey, Scope
from schemas.limits import MAX_BATCH_EVENTS


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many events a key may send."""

    per_second: float
    burst: int
    """Most at once, after a pause."""

    @classmethod
    def of(cls, per_second: float | None, burst: int | None) -> RateLimit | None:
        """Return the limit; None without a rate. No burst given: a largest batch or a second's worth, if more."""
        if per_second is None:
            return None
        return cls(per_second, burst or max(MAX_BATCH_EVENTS, math.ceil(per_second)))


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ApiKey:
    """What a key that was presented stands for; equal only to itself."""

    source: str
    """Name of the service; stored with its events."""
    scopes: frozenset[Scope]
    rate_limit: RateLimit | None = None
    key_id: str | None = None
    """Of an issued key; one of the settings has none."""


class AccessKeys:
    """The keys this process accepts. Holds digests only, compares each in constant time."""

    def __init__(self, keys: Iterable[tuple[str, ApiKey]], hash_secret: bytes | None = None) -> None:
        """Take pairs of a secret and what it stands for; with `hash_secret` also keys that are issued meanwhile."""
        self._keys = [(_digest(secret), key) for secret, key in keys]
        self._hash_secret = hash_secret
        self._issued: dict[str, tuple[IssuedKey, ApiKey]] | None = None

    @property
    def takes_issued(self) -> bool:
        """Whether issued keys are accepted here at all."""
        return self._hash_secret is not None

    def renew(self, issued: Iterable[IssuedKey]) -> None:
        """Accept these issued keys from now on, and no others. One that did not change keeps its rate limit's state."""
        known = self._issued or {}
        renewed = {}
        for one in issued:
            before = known.get(one.key_id)
            renewed[one.key_id] = before if before and before[0] == one else (one, _api_key(one))
        self._issued = renewed

    def is_undecided(self, presented: str) -> bool:
        """Whether `presented` may be an issued key, and this process does not know yet which are in force."""
        return self.takes_issued and self._issued is None and api_keys.key_id(presented) is not None

    def verify(self, presented: str, now: datetime) -> ApiKey | None:
        """Return the key `presented` is, or None. Its time says nothing of which one almost matched."""
        key_id = api_keys.key_id(presented)
        if key_id is not None:
            return self._verify_issued(key_id, presented, now)
        digest = _digest(presented)
        found = None
        for known, key in self._keys:
            if hmac.compare_digest(known, digest):
                found = key
        return found

    def is_in_force(self, key: ApiKey, now: datetime) -> bool:
        """Whether a key that was accepted still would be, as it was then; one of the settings always is."""
        if key.key_id is None:
            return True
        issued, current = (self._issued or {}).get(key.key_id, (None, None))
        return issued is not None and current is key and not _is_expired(issued, now)

    def _verify_issued(self, key_id: str, presented: str, now: datetime) -> ApiKey | None:
        if self._hash_secret is None or self._issued is None or key_id not in self._issued:
            return None
        issued, key = self._issued[key_id]
        is_same = hmac.compare_digest(bytes.fromhex(issued.digest), api_keys.digest(presented, self._hash_secret))
        return key if is_same and not _is_expired(issued, now) else None


def presented_key(authorization: str | None, x_api_key: str | None) -> str | None:
    """Return the secret of an `Authorization: Bearer` or `X-API-Key` header, the first winning; None without one."""
    if authorization is not None:
        scheme, _, credentials = authorization.partition(" ")
        return credentials.strip() or None if scheme.lower() == "bearer" else None
    return x_api_key or None


def _api_key(issued: IssuedKey) -> ApiKey:
    limit = RateLimit.of(issued.rate_limit_per_second, issued.rate_limit_burst)
    return ApiKey(issued.source, issued.scopes, limit, issued.key_id)


def _is_expired(issued: IssuedKey, now: datetime) -> bool:
    return issued.expires_at is not None and issued.expires_at <= now


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
