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

_ANY_UUID: Final = re.compile(
    r"(?:urn:uuid:|(\{))?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})(?(1)\})", re.IGNORECASE | re.ASCII
)
_HYPHENATED: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RESERVED_PREFIX: Final = b"\xff\xff"
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
    return uuid8(_RESERVED_PREFIX + hashlib.sha256(_NAMESPACE + client_id.encode()).digest())


def uuid8(digest: bytes) -> UUID:
    """Return the UUIDv8 (RFC 9562) of the first 16 bytes of a digest."""
    value = int.from_bytes(digest[:16], "big")
    value = value & ~(0xF << 76) | (0x8 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return UUID(int=value)


def session_uuid(text: str) -> str | None:
    """Return the UUID that the text is one of the forms of, in lower case with hyphens; None for any other text."""
    found = _ANY_UUID.fullmatch(text)
    return None if found is None else str(UUID(found[2]))


def is_reserved(event_id: UUID) -> bool:
    """Whether the id says nothing about time because it was mapped from a sender's string."""
    return event_id.bytes[:2] == _RESERVED_PREFIX


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
