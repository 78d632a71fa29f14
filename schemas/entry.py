r"""Codec of the stream: an accepted event as one entry with one field, the row that COPY reads.

A row has the values of `WireEvent` in order, in the text format of COPY: separated by tabs, `\N` for an absent value, a
backslash before each character that COPY treats specially. Ingest writes it once. Workers check its form and pass it on
unchanged. Any Redis tool shows it as text.

Entries of the release before, and entries that are restored from dead letters, have a field for each value. Both forms
are read. The names of the fields are defined only here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import Final, NamedTuple
from uuid import UUID

from .accepted import AcceptedEvent
from .catalogue import CATALOGUE
from .identifiers import UUID_FORM


class WireEvent(NamedTuple):
    """An `AcceptedEvent` as text: the columns of a row, in order."""

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


ROW: Final = b"row"
"""Name of the field of an entry."""

FIELDS: Final[tuple[bytes, ...]] = tuple(name.encode() for name in WireEvent._fields)
"""Names of the fields of an entry of the release before, in the order of `WireEvent`."""

_USER_HASH: Final = b"user_hash"
_SESSION_ID: Final = b"session_id"
_EVENT_TYPES: Final = {name.encode(): name for name in CATALOGUE}
_USER_HASH_BYTES: Final = 32

_NULL: Final = r"\N"
_HEX: Final = r"\\x"
"""Start of a bytea in a row: a backslash and an x, escaped for COPY."""
_ESCAPED: Final = {b"\\": b"\\", b"t": b"\t", b"n": b"\n", b"r": b"\r"}
_ESCAPE: Final = re.compile(rb"\\(.?)", re.DOTALL)

# only dates that exist: to parse each date takes longer than to match the whole row
_LEAP_YEAR: Final = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE: Final = (
    r"(?!0000)(?:"
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
    r"|\d{4}-(?:0[13-9]|1[0-2])-(?:29|30)"
    r"|\d{4}-(?:0[13578]|1[02])-31"
    rf"|{_LEAP_YEAR}-02-29)"
)
_TIME: Final = rf"{_DATE}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.(?!000000)\d{{6}})?\+00:00"
_AS_PACKED: Final = re.compile(
    "\t".join(
        (
            UUID_FORM,
            "|".join(CATALOGUE).join(("(?:", ")")),
            rf"\\(?:N|\\x[0-9a-f]{{{2 * _USER_HASH_BYTES}}})",
            rf"(?:\\N|{UUID_FORM})",
            _TIME,
            _TIME,
            _DATE,
            r"[1-9]\d{0,4}",
            r"[^\x00-\x1f\\]*",
            r"[^\t\n\r\\]*(?:\\[\\tnr][^\t\n\r\\]*)*",
        )
    ),
    re.ASCII,
)
"""A row as `pack` writes it, with dates that exist. A row with a source that needs an escape does not match."""


class MalformedEntry(ValueError):
    """A stream entry is not an event. `reason` is a stable code, `detail` a message that repeats no value."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def encode(event: AcceptedEvent) -> WireEvent:
    """Return the event as text."""
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


def pack(event: WireEvent) -> str:
    """Return the row of an event, without a line break."""
    return "\t".join(
        (
            event.event_id,
            event.event_type,
            _HEX + event.user_hash if event.user_hash else _NULL,
            event.session_id or _NULL,
            event.occurred_at,
            event.received_at,
            event.activity_date,
            event.schema_version,
            _escape(event.source),
            _escape(event.properties),
        )
    )


def unpack(row: str) -> WireEvent:
    """Return the event of a row that `pack` wrote."""
    event_id, event_type, user_hash, session_id, *others, source, properties = row.split("\t")
    return WireEvent._make(
        (
            event_id,
            event_type,
            "" if user_hash == _NULL else user_hash[len(_HEX) :],
            "" if session_id == _NULL else session_id,
            *others,
            _unescape(source),
            _unescape(properties),
        )
    )


def read_row(fields: Mapping[bytes, bytes]) -> str:
    """Return `pack(encode(decode(fields)))`. What ingest wrote is only checked. Raises MalformedEntry."""
    try:
        row = fields[ROW].decode() if ROW in fields else _pack_fields(fields)
        if _AS_PACKED.fullmatch(row):
            return row
    except (KeyError, UnicodeDecodeError):
        pass
    return pack(encode(decode(fields)))


def read(fields: Mapping[bytes, bytes]) -> WireEvent:
    """Return `encode(decode(fields))`. Raises MalformedEntry."""
    return unpack(read_row(fields))


def decode(fields: Mapping[bytes, bytes]) -> AcceptedEvent:
    """Return the event of an entry of either form. Raises MalformedEntry when its values are not those of an event."""
    values = _split(fields[ROW]) if ROW in fields else fields
    try:
        event_type = _EVENT_TYPES[values[b"event_type"]]
        user_hash = bytes.fromhex(values[_USER_HASH].decode()) or None
        session_id = values[_SESSION_ID].decode()
        event = AcceptedEvent(
            UUID(values[b"event_id"].decode()),
            event_type,
            user_hash,
            UUID(session_id) if session_id else None,
            datetime.fromisoformat(values[b"occurred_at"].decode()),
            datetime.fromisoformat(values[b"received_at"].decode()),
            date.fromisoformat(values[b"activity_date"].decode()),
            int(values[b"schema_version"]),
            values[b"source"].decode(),
            values[b"properties"].decode(),
        )
    except KeyError as missing:
        raise _missing(values, missing) from None
    except UnicodeDecodeError:
        raise MalformedEntry("invalid_text", "a field is not UTF-8") from None
    except ValueError:
        raise MalformedEntry("invalid_field", "an id, time, date, hash or version cannot be read") from None
    if user_hash is not None and len(user_hash) != _USER_HASH_BYTES:
        raise MalformedEntry("invalid_field", "user_hash is not 32 bytes of hex")
    if event.occurred_at.tzinfo is not timezone.utc or event.received_at.tzinfo is not timezone.utc:
        raise MalformedEntry("invalid_field", "a time is not in UTC")
    return event


def by_name(fields: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """Return the fields of an entry with a field for each value of its row.

    A row that is damaged is left as one field, since its values cannot be told apart.
    """
    if ROW not in fields:
        return fields
    try:
        values = _split(fields[ROW])
    except MalformedEntry:
        return fields
    return {name: value for name, value in fields.items() if name != ROW} | values


def user_hash_of(fields: Mapping[bytes, bytes]) -> bytes:
    """Return the pseudonym in an entry of either form as lower-case digits, even if the entry is malformed.

    Whatever stands in the place of the pseudonym is returned unchecked; empty if nothing does.
    """
    columns = fields.get(ROW, b"").split(b"\t", 3)
    if len(columns) < 3:
        return fields.get(_USER_HASH, b"").lower()
    return columns[2].removeprefix(_HEX.encode()).removeprefix(_NULL.encode()).lower()


def _pack_fields(fields: Mapping[bytes, bytes]) -> str:
    event = WireEvent._make([fields[name].decode() for name in FIELDS])
    # only in a row does this text stand for an absent value
    return "" if event.session_id == _NULL else pack(event)


def _split(row: bytes) -> dict[bytes, bytes]:
    columns = row.split(b"\t")
    if len(columns) < len(FIELDS):
        raise MalformedEntry("missing_field", "the row lacks columns")
    if len(columns) > len(FIELDS):
        raise MalformedEntry("invalid_field", "the row has too many columns")
    values = dict(zip(FIELDS, columns, strict=True))
    for name in (_USER_HASH, _SESSION_ID):
        if values[name] == _NULL.encode():
            values[name] = b""
    values[_USER_HASH] = values[_USER_HASH].removeprefix(_HEX.encode())
    try:
        return {name: _ESCAPE.sub(lambda escape: _ESCAPED[escape[1]], value) for name, value in values.items()}
    except KeyError:
        raise MalformedEntry("invalid_field", "the row has an unknown escape") from None


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda escape: _ESCAPED[escape[1]], text.encode()).decode()


def _missing(values: Mapping[bytes, bytes], error: KeyError) -> MalformedEntry:
    if b"event_type" in values and values[b"event_type"] not in _EVENT_TYPES:
        return MalformedEntry("unknown_event_type", "this release does not know the event type")
    return MalformedEntry("missing_field", f"the entry lacks {error.args[0]!r}")
