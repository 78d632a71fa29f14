"""Secrets that are none: too short, or not random."""

from __future__ import annotations

from typing import Final

from runtime.errors import ConfigurationError

SHORTEST: Final = 32
"""Bytes: as many as HMAC-SHA-256 gives (RFC 2104, section 3; RFC 7518, section 3.2)."""
_FEWEST_DIFFERENT: Final = 8
"""Of 64 random hex digits at least so many differ, but for once in 10^9 times."""


def require_strong(name: str, secret: bytes, *, dev: bool) -> bytes:
    """Return the secret. Raises ConfigurationError for a short one, and outside dev for one that was not drawn."""
    if len(secret) < SHORTEST:
        raise ConfigurationError(f"{name} is shorter than {SHORTEST} bytes; make one with `openssl rand -hex 32`")
    if not dev and _is_pattern(secret):
        raise ConfigurationError(f"{name} is an example, not a secret; make one with `openssl rand -hex 32`")
    return secret


def _is_pattern(secret: bytes) -> bool:
    repeats = secret in (secret + secret)[1:-1]
    return repeats or len(set(secret)) < _FEWEST_DIFFERENT
