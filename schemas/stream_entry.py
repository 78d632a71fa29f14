"""The wire form of an accepted event: one stream entry of ten text fields, readable with any Redis tool.

This is the one place that knows the field names. Every entry has all ten in the same order (an absent value is empty),
so that the server stores the names once per node instead of once per entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import Final
from uuid import UUID

from .accepted import AcceptedEvent
from .event_types import EventType

FIELDS: Final[tuple[bytes, ...]] = tuple(name.encode() for name in AcceptedEvent._fields)
"""Names of the fields, in the order `encode` gives the values."""

_EVENT_TYPES: Final = {event_type.value.encode(): event_type.value for event_type in EventType}
_USER_HASH_BYTES: Final = 32


class MalformedEntry(ValueError):
    """A stream entry that is no event; `reason` is a stable code, `detail` is for people and repeats no value."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def encode(event: AcceptedEvent) -> tuple[str, ...]:
    """Return the values of the ten `FIELDS`."""
    return (
        str(event.event_id),
        event.event_type,
        event.user_hash.hex() if event.user_hash is not None else "",
        str(event.session_id) if event.session_id is not None else "",
        event.occurred_at.isoformat(),
        event.received_at.isoformat(),
        event.activity_date.isoformat(),
        str(event.schema_version),
        event.source,
        event.properties,
    )


def decode(fields: Mapping[bytes, bytes]) -> AcceptedEvent:
    """Return the event that `encode` wrote. Raises MalformedEntry for anything else."""
    try:
        event_type = _EVENT_TYPES[fields[b"event_type"]]
        user_hash = bytes.fromhex(fields[b"user_hash"].decode()) or None
        session_id = fields[b"session_id"].decode()
        event = AcceptedEvent(
            UUID(fields[b"event_id"].decode()),
            event_type,
            user_hash,
            UUID(session_id) if session_id else None,
            datetime.fromisoformat(fields[b"occurred_at"].decode()),
            datetime.fromisoformat(fields[b"received_at"].decode()),
            date.fromisoformat(fields[b"activity_date"].decode()),
            int(fields[b"schema_version"]),
            fields[b"source"].decode(),
            fields[b"properties"].decode(),
        )
    except KeyError as missing:
        raise _missing(fields, missing) from None
    except UnicodeDecodeError:
        raise MalformedEntry("invalid_text", "a field is not UTF-8") from None
    except ValueError:
        raise MalformedEntry("invalid_field", "an id, time, date, hash or version cannot be read") from None
    if user_hash is not None and len(user_hash) != _USER_HASH_BYTES:
        raise MalformedEntry("invalid_field", "user_hash is not 32 bytes of hex")
    if event.occurred_at.tzinfo is not timezone.utc or event.received_at.tzinfo is not timezone.utc:
        raise MalformedEntry("invalid_field", "a time is not in UTC")
    return event


def _missing(fields: Mapping[bytes, bytes], error: KeyError) -> MalformedEntry:
    if b"event_type" in fields and fields[b"event_type"] not in _EVENT_TYPES:
        return MalformedEntry("unknown_event_type", "the event type is none of the fourteen")
    return MalformedEntry("missing_field", f"the entry lacks {error.args[0]!r}")
