"""API keys of services: from the settings, or issued by `analytics keys`."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from runtime.settings import Settings
from schemas.access import IssuedKey, Scope
from schemas.limits import MAX_BATCH_EVENTS
from web import api_key_format


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Maximum rate of events of a key."""

    per_second: float
    burst: int
    """Maximum number of events at once, after a pause."""

    @classmethod
    def of(cls, per_second: float | None, burst: int | None) -> RateLimit | None:
        """Return the limit; None without a rate. Default burst: the largest batch, or one second's events if more."""
        if per_second is None:
            return None
        return cls(per_second, burst or max(MAX_BATCH_EVENTS, math.ceil(per_second)))


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ApiKey:
    """An accepted key, without its secret. Equal only to itself."""

    source: str
    """Name of the service. Stored with its events."""
    scopes: frozenset[Scope]
    rate_limit: RateLimit | None = None
    key_id: str | None = None
    """Id of an issued key; None for a key of the settings."""


class AccessKeys:
    """The keys that this process accepts. Holds digests only and compares them in constant time."""

    def __init__(self, keys: Iterable[tuple[str, ApiKey]], hash_secret: bytes | None = None) -> None:
        """Take pairs of a secret and its key. `hash_secret` hashes issued keys; None: none is accepted."""
        self._keys = [(_digest(secret), key) for secret, key in keys]
        self._hash_secret = hash_secret
        self._issued: dict[str, tuple[IssuedKey, ApiKey]] | None = None

    @property
    def accepts_issued(self) -> bool:
        """Whether this process accepts issued keys."""
        return self._hash_secret is not None

    def renew(self, issued: Iterable[IssuedKey]) -> None:
        """Replace the issued keys. An unchanged key keeps the state of its rate limit."""
        known = self._issued or {}
        renewed = {}
        for one in issued:
            before = known.get(one.key_id)
            renewed[one.key_id] = before if before and before[0] == one else (one, _api_key(one))
        self._issued = renewed

    def is_undecided(self, presented: str) -> bool:
        """Whether `presented` has the form of an issued key while the issued keys are not loaded yet."""
        return self.accepts_issued and self._issued is None and api_key_format.key_id(presented) is not None

    def verify(self, presented: str, now: datetime) -> ApiKey | None:
        """Return the key of the presented secret, or None. The time taken does not depend on the keys."""
        key_id = api_key_format.key_id(presented)
        if key_id is not None:
            return self._verify_issued(key_id, presented, now)
        digest = _digest(presented)
        found = None
        for known, key in self._keys:
            if hmac.compare_digest(known, digest):
                found = key
        return found

    def is_in_force(self, key: ApiKey, now: datetime) -> bool:
        """Whether an accepted key is still valid and unchanged. Keys of the settings always are."""
        if key.key_id is None:
            return True
        issued, current = (self._issued or {}).get(key.key_id, (None, None))
        return issued is not None and current is key and not _is_expired(issued, now)

    def _verify_issued(self, key_id: str, presented: str, now: datetime) -> ApiKey | None:
        if self._hash_secret is None or self._issued is None or key_id not in self._issued:
            return None
        issued, key = self._issued[key_id]
        is_same = hmac.compare_digest(bytes.fromhex(issued.digest), api_key_format.digest(presented, self._hash_secret))
        return key if is_same and not _is_expired(issued, now) else None


def configured_keys(settings: Settings) -> AccessKeys:
    """Return the keys of the settings; issued keys are added later. Raises ConfigurationError for a weak secret."""
    return AccessKeys(
        (
            (
                setting.key.get_secret_value(),
                ApiKey(
                    setting.source,
                    setting.scopes,
                    RateLimit.of(setting.rate_limit_per_second, setting.rate_limit_burst),
                ),
            )
            for setting in settings.api_keys
        ),
        settings.issued_key_secret(),
    )


def presented_key(authorization: str | None, x_api_key: str | None) -> str | None:
    """Return the secret of `Authorization: Bearer`, else of `X-API-Key`; None without one."""
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
