"""Entries that are not valid events, as a client with access to Redis could write them."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from schemas.accepted import AcceptedEvent
from schemas.catalogue import EventType
from schemas.entry import FIELDS, ROW, encode
from tests.support.entries import as_read, as_read_before, in_a_row
from tests.support.events import NOW, event, uuid7

CANARY = "anna.canary@example.org"
"""A value that no dead letter may contain."""


class Poison(NamedTuple):
    """An invalid entry, and the reason with which it is parked."""

    fields: dict[bytes, bytes]
    reason: str


def fields_of(one: AcceptedEvent, **changes: bytes | None) -> dict[bytes, bytes]:
    """Return the entry of an event of the release before with some values replaced; None removes the field."""
    written = as_read_before(encode(one)) | {name.encode(): value or b"" for name, value in changes.items()}
    return {name: value for name, value in written.items() if changes.get(name.decode(), b"") is not None}


def copy_poison(first: int) -> dict[str, Poison]:
    """Return the nine rows that abort a COPY and other rows that the database refuses, numbered from `first`."""
    numbers = iter(range(first, first + 100))

    def refused(properties: bytes, event_type: str = "session_start", **changes: bytes) -> Poison:
        one = event(event_type, number=next(numbers))
        return Poison(fields_of(one, properties=properties, **changes), "rejected_by_database")

    def strange_time(shift: timedelta) -> Poison:
        one = event("session_start", event_id=uuid7(NOW + shift, next(numbers)))
        return Poison(fields_of(one), "event_id_time_out_of_range")

    long = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9_000))
    return {
        "NUL in text": refused(b"{}", source=b"a\x00b"),
        "NUL in jsonb": refused(b'{"a": "\\u0000"}'),
        "lone surrogate in text": Poison(
            fields_of(event("session_start", number=next(numbers)), source=b"\xed\xa0\x80"), "invalid_text"
        ),
        "lone surrogate in jsonb": refused(b'{"a": "\\ud800"}'),
        "NaN": refused(b'{"a": NaN}'),
        "a number beyond numeric": refused(b'{"a": 1e200000}'),
        "an array 20,000 deep": refused(b'{"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
        "a time before every partition": strange_time(timedelta(days=-300)),
        "a time after every partition": strange_time(timedelta(days=300)),
        "no object": refused(b"[1]"),
        "no JSON": refused(b"{"),
        "a version beyond smallint": refused(b"{}", schema_version=b"99999"),
        "a key no index can hold": refused(
            json.dumps({"achievement_id": long}).encode(), EventType.ACHIEVEMENT_EARNED.value
        ),
        "a word for a number": refused(b'{"xp_amount": "many"}', EventType.XP_EARNED.value),
        "XP beyond bigint": refused(b'{"xp_amount": 99999999999999999999}', EventType.XP_EARNED.value),
        "XP that fills a bigint": refused(b'{"xp_amount": 9223372036854775807}', EventType.XP_EARNED.value),
        "a latency beyond every bucket": refused(
            b'{"endpoint":"/","status_code":200,"duration_ms":1e300}', EventType.API_REQUEST.value
        ),
        "no endpoint": refused(b'{"duration_ms":1}', EventType.API_REQUEST.value),
    }


def shape_poison(first: int) -> dict[str, Poison]:
    """Return entries that cannot be decoded as an event, numbered from `first`."""
    one = event("session_start", number=first)
    bad = {
        "no event id": (fields_of(one, event_id=b"17"), "invalid_field"),
        "an empty event id": (fields_of(one, event_id=b""), "invalid_field"),
        "no UUID for a session": (fields_of(one, session_id=CANARY.encode()), "invalid_field"),
        "a day that is none": (fields_of(one, activity_date=b"2026-02-30"), "invalid_field"),
        "a time without a zone": (fields_of(one, occurred_at=b"2026-01-01T00:00:00"), "invalid_field"),
        "a time in words": (fields_of(one, received_at=b"yesterday"), "invalid_field"),
        "a version of 5,000 digits": (fields_of(one, schema_version=b"9" * 5_000), "invalid_field"),
        "a hash that is short": (fields_of(one, user_hash=b"00ff"), "invalid_field"),
        "a raw user id for a hash": (fields_of(one, user_hash=CANARY.encode()), "invalid_field"),
        "bytes that are no text": (fields_of(one, properties=b"\xff\xfe"), "invalid_text"),
        "an unknown type": (fields_of(one, event_type=b"party"), "unknown_event_type"),
        "nothing it should have": ({CANARY.encode(): CANARY.encode()}, "missing_field"),
        "a megabyte of nothing": (fields_of(one, event_type=b"x" * 1_000_000), "unknown_event_type"),
    }
    bad |= {f"no {name.decode()}": (fields_of(one, **{name.decode(): None}), "missing_field") for name in FIELDS}
    return {name: Poison(*each) for name, each in bad.items()}


def row_poison(first: int) -> dict[str, Poison]:
    """Return the entries of `copy_poison` and `shape_poison` as rows, and rows that COPY would take for others."""
    entries = copy_poison(first) | shape_poison(first + 100)
    bad = {f"{name}, in a row": Poison(in_a_row(each.fields), each.reason) for name, each in entries.items()}
    row = as_read(encode(event("session_start", {"material_id": "m"}, number=first + 101)))[ROW]
    start = row[: row.rindex(b"\t") + 1]
    damaged = {
        "no columns": (b"", "missing_field"),
        "the end of the data": (rb"\.", "missing_field"),
        "an end of the data in a column": (row + rb"\.", "invalid_field"),
        "two rows": (row + b"\n" + row, "invalid_field"),
        "two rows and a half": (row + b"\t0\t1-0\n" + row, "invalid_field"),
        "a column more": (row + b"\t" + CANARY.encode(), "invalid_field"),
        "a tab in a value": (start + b'{"material_id":\t"m"}', "invalid_field"),
        "a value cut off": (row[:-1] + b"\\", "invalid_field"),
        "an octal escape": (start + rb'{"material_id":"\101"}', "invalid_field"),
        "a hexadecimal escape": (start + rb'{"material_id":"\x41"}', "invalid_field"),
        "an escape that is none": (start + rb'{"material_id":"\q"}', "invalid_field"),
        "an absent event id": (rb"\N" + row[36:], "invalid_field"),
        "absent properties": (start + rb"\N", "invalid_field"),
        "a row in UTF-16": (row.decode().encode("utf-16"), "invalid_field"),
        "a break in an id": (row[:8] + b"\n" + row[9:], "invalid_field"),
    }
    return bad | {name: Poison({ROW: each}, reason) for name, (each, reason) in damaged.items()}


def fuzzed(chance: random.Random, number: int) -> dict[bytes, bytes]:
    """Return an entry with up to three faults. `number` determines its event id."""
    event_type = chance.choice(list(EventType)).value
    fields = fields_of(event(event_type, number=number))
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(FIELDS)
        match chance.randrange(6):
            case 0:
                fields.pop(name, None)
            case 1:
                fields[chance.randbytes(5) + CANARY.encode()] = chance.randbytes(20)
            case 2:
                fields[name] = chance.randbytes(chance.choice([1, 16, 300]))
            case 3:
                fields[name] = chance.choice(_ODD_TEXTS)
            case _:
                fields[b"properties"] = _odd_properties(chance)
    return fields or {b"x": CANARY.encode()}


_ODD_TEXTS = (
    b"",
    b"\x00",
    b"NaN",
    b"-1",
    b"9" * 5_000,
    b"null",
    b"\xed\xa0\x80",
    b"0001-01-01T00:00:00+00:00",
    b"9999-12-31T23:59:59.999999+00:00",
    b"2026-02-30",
    str(UUID(int=0)).encode(),
    str(UUID(int=2**128 - 1)).encode(),
    CANARY.encode(),
    CANARY.encode() * 2_000,
)

_KEYS = ("xp_amount", "xp_reward", "new_level", "streak_days", "duration_seconds", "response_time_ms", "tokens")
_MORE_KEYS = ("duration_ms", "status_code", "endpoint", "achievement_id", "message_length", "rating", CANARY)
_ODD_VALUES = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e200000",
    "1e308",
    "1e131071",
    "9223372036854775807",
    "-9223372036854775808",
    "2147483647",
    "0.5",
    "-0",
    "true",
    "null",
    '"NaN"',
    '"Infinity"',
    '"\\u0000"',
    '"\\ud800"',
    f'"{CANARY}\\n"',
    '"' + "\\u00e9" * 5_000 + '"',
    "[" * 5_000 + "]" * 5_000,
    '{"a":' * 50 + "1" + "}" * 50,
    "",
)


def _odd_properties(chance: random.Random) -> bytes:
    pairs = (f'"{chance.choice(_KEYS + _MORE_KEYS)}":{chance.choice(_ODD_VALUES)}' for _ in range(chance.randint(1, 4)))
    text = "{" + ",".join(pairs) + "}"
    return text[: chance.choice([len(text), len(text), len(text), 7])].encode()
