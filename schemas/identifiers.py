"""How a sender's event id becomes the key an event is stored, partitioned and deduplicated by.

A UUIDv7 (RFC 9562) orders by time and is kept. Any other string maps to a UUIDv8 whose first 16 bits are ones:
a range no UUIDv7 of this age can reach, so that such ids have a partition of their own.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta, timezone
from typing import Final
from uuid import UUID

UUID_FORM: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
"""Pattern of a UUID as it is stored: in lower case, with hyphens."""

_HYPHENATED: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RESERVED_PREFIX: Final = 0xFFFF
_NAMESPACE: Final = b"studyin/event-id/1\x00"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

RESERVED_FLOOR: Final = UUID("ffff0000-0000-0000-0000-000000000000")
"""Lowest id of the reserved range."""


def canonical_event_id(client_id: str) -> UUID:
    """Return the key of an event its sender calls `client_id`; pure and idempotent: a key maps to itself."""
    if _HYPHENATED.fullmatch(client_id):
        given = UUID(client_id)
        if given.version == 7 or (given.version == 8 and is_reserved(given)):
            return given
    digest = int.from_bytes(hashlib.sha256(_NAMESPACE + client_id.encode()).digest()[:14], "big")
    value = (_RESERVED_PREFIX << 112) | digest
    value = value & ~(0xF << 76) | (0x8 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return UUID(int=value)


def is_reserved(event_id: UUID) -> bool:
    """Whether the id says nothing about time because it was mapped from a sender's string."""
    return event_id.int >> 112 == _RESERVED_PREFIX


def time_of(milliseconds: int) -> datetime:
    """Return the time so long after the Unix epoch, in UTC. Raises OverflowError beyond the year 9999."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds_of(event_id: str) -> int:
    """Return the Unix milliseconds that a UUIDv7, in lower case with hyphens, carries: perhaps beyond any datetime."""
    return int(event_id[:8] + event_id[9:13], 16)


def unix_milliseconds(moment: datetime) -> int:
    """Return the whole milliseconds from the Unix epoch to an aware `moment`, rounded down."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000
