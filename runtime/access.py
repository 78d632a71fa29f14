"""Who may call: services by API key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Scope = Literal["events:write", "learning:read", "system:read", "privacy:admin"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many events a key may send."""

    per_second: float
    burst: int
    """Most at once, after a pause."""


@dataclass(frozen=True, slots=True, eq=False)
class ApiKey:
    """What a key that was presented stands for; equal only to itself."""

    source: str
    """Name of the service; stored with its events."""
    scopes: frozenset[Scope]
    rate_limit: RateLimit | None = None


class AccessKeys:
    """The keys this process accepts. Holds digests only, compares each in constant time."""

    def __init__(self, keys: Iterable[tuple[str, ApiKey]]) -> None:
        """Take pairs of a secret and what it stands for."""
        self._keys = [(_digest(secret), key) for secret, key in keys]

    def verify(self, presented: str) -> ApiKey | None:
        """Return the key `presented` is, or None. Looks at every key, so its time says nothing of which one matched."""
        digest = _digest(presented)
        found = None
        for known, key in self._keys:
            if hmac.compare_digest(known, digest):
                found = key
        return found


def presented_key(authorization: str | None, x_api_key: str | None) -> str | None:
    """Return the secret of an `Authorization: Bearer` or `X-API-Key` header, the first winning; None without one."""
    if authorization is not None:
        scheme, _, credentials = authorization.partition(" ")
        return credentials.strip() or None if scheme.lower() == "bearer" else None
    return x_api_key or None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
