"""Maps a sender's event id to the key by which an event is stored, partitioned and deduplicated.

A UUIDv7 (RFC 9562) sorts by time and is kept. Any other text maps to a UUIDv8 whose first 16 bits are ones. No UUIDv7
reaches that range for thousands of years, so these ids have their own partition. A UUID is unique by itself and has one
key for all sources. Any other text is unique within its source, and its key depends on the source.

The release before mapped every text without its source. The two keys of a text differ by a mask of the source, so each
can be computed from the other: `counterpart`.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from uuid import UUID

UUID_FORM: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
"""Pattern of a UUID as it is stored: in lower case, with hyphens."""

_ANY_UUID: Final = re.compile(
    r"(?:urn:uuid:|(\{))?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})(?(1)\})", re.IGNORECASE | re.ASCII
)
_HYPHENATED: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RFC_VARIANTS: Final = "89abAB"
_RESERVED_PREFIX: Final = b"\xff\xff"
_NAMESPACE: Final = b"studyin/event-id/1\x00"
_SOURCE_NAMESPACE: Final = b"studyin/event-id-source/1\x00"
_SOURCES: Final = 4_096
"""Maximum number of cached masks; there are fewer services."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

RESERVED_FLOOR: Final = UUID("ffff0000-0000-0000-0000-000000000000")
"""Lowest id of the range of mapped texts."""


def canonical_event_id(client_id: str, source: str) -> UUID:
    """Return the key of the event that has the id `client_id` in the service `source`.

    Pure and idempotent: a key maps to itself. A UUID (RFC 9562, 36 characters) has the same key for every source.
    """
    if _HYPHENATED.fullmatch(client_id):
        given = UUID(client_id)
        if given.version == 7 or (given.version == 8 and is_reserved(given)):
            return given
        if _is_rfc_uuid(client_id):
            return _hashed(client_id)
    return counterpart(_hashed(client_id), source)


def counterpart(event_id: UUID, source: str) -> UUID:
    """Return the other key of a text: without the source for a key with it, and the reverse.

    Argument and result are keys of the reserved range.
    """
    return UUID(int=event_id.int ^ _mask(source))


@lru_cache(_SOURCES)
def _mask(source: str) -> int:
    """Return 106 bits; the bits of the prefix, the version and the variant are zero."""
    blank = uuid8(b"\x00" * 16).int
    return uuid8(b"\x00\x00" + hashlib.sha256(_SOURCE_NAMESPACE + source.encode()).digest()).int ^ blank


def _hashed(text: str) -> UUID:
    return uuid8(_RESERVED_PREFIX + hashlib.sha256(_NAMESPACE + text.encode()).digest())


def _is_rfc_uuid(hyphenated: str) -> bool:
    return hyphenated[14] in "12345678" and hyphenated[19] in _RFC_VARIANTS


def uuid8(digest: bytes) -> UUID:
    """Return the UUIDv8 (RFC 9562) of the first 16 bytes of a digest."""
    value = int.from_bytes(digest[:16], "big")
    value = value & ~(0xF << 76) | (0x8 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return UUID(int=value)


def session_uuid(text: str) -> str | None:
    """Return the UUID in the text, in lower case with hyphens; None if the text is not a UUID in any form."""
    found = _ANY_UUID.fullmatch(text)
    return None if found is None else str(UUID(found[2]))


def is_reserved(event_id: UUID) -> bool:
    """Whether the id was mapped from a text, so that it contains no time."""
    return event_id.bytes[:2] == _RESERVED_PREFIX


def time_of(milliseconds: int) -> datetime:
    """Return the time of Unix milliseconds, in UTC. Raises OverflowError beyond the year 9999."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds_of(event_id: str) -> int:
    """Return the Unix milliseconds of a UUIDv7 in lower case with hyphens. They may exceed any datetime."""
    return int(event_id[:8] + event_id[9:13], 16)


def unix_milliseconds(moment: datetime) -> int:
    """Return the Unix milliseconds of an aware time, rounded down."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000
