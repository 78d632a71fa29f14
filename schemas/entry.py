"""Codec of the stream: an accepted event as one entry of text fields, readable with any Redis tool.

The names of the fields are defined only here. Every entry has all of them in the same order, and an absent value is
empty: Redis then stores the names once per node instead of once per entry. Ingest writes the texts that the database
reads. Workers validate them and pass them on unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timezone
from operator import itemgetter
from typing import Final, NamedTuple
from uuid import UUID

from .accepted import AcceptedEvent
from .catalogue import CATALOGUE
from .identifiers import UUID_FORM


class WireEvent(NamedTuple):
    """An `AcceptedEvent` as text: the values of the fields of an entry, in order."""

    event_id: str
    """Lower case, with hyphens."""
    event_type: str
    user_hash: str
    """64 hexadecimal digits, or empty."""
    session_id: str
    """As `event_id`, or empty."""
    occurred_at: str
    """ISO 8601, in UTC."""
    received_at: str
    """ISO 8601, in UTC."""
    activity_date: str
    schema_version: str
    source: str
    properties: str


FIELDS: Final[tuple[bytes, ...]] = tuple(name.encode() for name in WireEvent._fields)
"""Names of the fields, in the order of `WireEvent`."""

_EVENT_TYPES: Final = {name.encode(): name for name in CATALOGUE}
_USER_HASH_BYTES: Final = 32

_SEPARATOR: Final = "\x1f"
_values: Final = itemgetter(*FIELDS)
_TIME: Final = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.(?!000000)\d{6})?\+00:00"
_AS_ENCODED: Final = re.compile(
    _SEPARATOR.join(
        (
            UUID_FORM,
            "|".join(_EVENT_TYPES.values()).join(("(?:", ")")),
            rf"(?:[0-9a-f]{{{2 * _USER_HASH_BYTES}}})?",
            rf"(?:{UUID_FORM})?",
            _TIME,
            _TIME,
            r"\d{4}-\d{2}-\d{2}",
            r"[1-9]\d{0,4}",
            r"[^\x00-\x1f]*",
            r"[^\x1f]*",
        )
    ),
    re.ASCII,
)
"""Values as `encode` writes them. It also matches dates that do not exist, such as 30 February."""


class MalformedEntry(ValueError):
    """A stream entry is not an event. `reason` is a stable code, `detail` a message that repeats no value."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def encode(event: AcceptedEvent) -> WireEvent:
    """Return the values of `FIELDS`."""
    return WireEvent(
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


def read(fields: Mapping[bytes, bytes]) -> WireEvent:
    """Return `encode(decode(fields))`. Entries that ingest wrote take a fifth of the time. Raises MalformedEntry."""
    try:
        text = b"\x1f".join(_values(fields)).decode()
        if _AS_ENCODED.fullmatch(text):
            event = WireEvent(*text.split(_SEPARATOR))
            datetime.fromisoformat(event.occurred_at)
            datetime.fromisoformat(event.received_at)
            date.fromisoformat(event.activity_date)
            return event
    except (KeyError, ValueError):
        pass
    return encode(decode(fields))


def decode(fields: Mapping[bytes, bytes]) -> AcceptedEvent:
    """Return the event of an entry. Raises MalformedEntry when the entry is not one that `encode` can write."""
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
        return MalformedEntry("unknown_event_type", "this release does not know the event type")
    return MalformedEntry("missing_field", f"the entry lacks {error.args[0]!r}")
