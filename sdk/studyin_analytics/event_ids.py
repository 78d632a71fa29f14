"""Event ids: UUIDv7 (RFC 9562), which sort by time."""

from __future__ import annotations

from uuid import UUID

RANDOM_BITS = 74


def uuid7(unix_milliseconds: int, chance: int) -> UUID:
    """Return the UUIDv7 of a time. `chance` has the 74 random bits."""
    high, low = (chance >> 62) & 0xFFF, chance & ((1 << 62) - 1)
    return UUID(int=(unix_milliseconds << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low)
