"""Refuses weak secrets: too short, or not random."""

from __future__ import annotations

from typing import Final

from runtime.errors import ConfigurationError

SHORTEST: Final = 32
"""Minimum bytes: the output size of HMAC-SHA-256 (RFC 2104, section 3; RFC 7518, section 3.2)."""
_FEWEST_DIFFERENT: Final = 8
"""Minimum number of different bytes. 64 random hex digits have fewer with a probability below 10^-9."""


def require_strong(name: str, secret: bytes, *, dev: bool) -> bytes:
    """Return the secret. Raises ConfigurationError for a short one and, outside `dev`, for one that is not random."""
    if len(secret) < SHORTEST:
        raise ConfigurationError(f"{name} is shorter than {SHORTEST} bytes; make one with `openssl rand -hex 32`")
    if not dev and _is_pattern(secret):
        raise ConfigurationError(f"{name} is an example, not a secret; make one with `openssl rand -hex 32`")
    return secret


def _is_pattern(secret: bytes) -> bool:
    repeats = secret in (secret + secret)[1:-1]
    return repeats or len(set(secret)) < _FEWEST_DIFFERENT
