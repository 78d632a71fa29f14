"""The fast path of reading an entry always gives the same result as parsing and encoding it again."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Mapping
from datetime import UTC, date
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import schemas.entry
from schemas.accepted import AcceptedEvent
from schemas.entry import FIELDS, ROW, MalformedEntry, WireEvent, decode, encode, pack, read, read_row, unpack
from tests.support.entries import as_read, as_read_before, in_a_row
from tests.support.events import accepted_events, event
from tests.support.poison import Poison, copy_poison, fields_of, fuzzed, row_poison, shape_poison

POISON = shape_poison(1) | copy_poison(1_000)
Form = Callable[[Mapping[bytes, bytes]], Mapping[bytes, bytes]]
TIMES = st.datetimes(timezones=st.just(UTC))
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@st.composite
def any_events(draw: st.DrawFn) -> AcceptedEvent:
    """Draw an event with any time to the microsecond, any printable service name, and any JSON-like text."""
    printable = st.characters(exclude_categories=["Cs"], min_codepoint=0x20, exclude_characters="\\")
    return draw(accepted_events())._replace(
        event_id=draw(st.uuids()),
        session_id=draw(st.none() | st.uuids()),
        user_hash=draw(st.none() | st.binary(min_size=32, max_size=32)),
        occurred_at=draw(TIMES),
        received_at=draw(TIMES),
        activity_date=draw(st.dates()),
        schema_version=draw(st.integers(1, 99_999)),
        source=draw(st.text(alphabet=printable)),
        properties=draw(TEXTS),
    )


def outcome(reader: Callable[[Mapping[bytes, bytes]], WireEvent], fields: Mapping[bytes, bytes]) -> object:
    try:
        return reader(fields)
    except MalformedEntry as error:
        return error.reason, error.detail


def anew(fields: Mapping[bytes, bytes]) -> WireEvent:
    return encode(decode(fields))


FORMS = [as_read_before, as_read]
IN_FORMS = pytest.mark.parametrize("form", [dict, in_a_row], ids=["ten fields", "a row"])


@given(any_events())
def test_what_ingest_writes_is_read_without_being_taken_apart(original: AcceptedEvent) -> None:
    written = encode(original)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(schemas.entry, "decode")
        found = read_row(as_read(written))
        assert read_row(as_read_before(written)) == found
    assert found == pack(written)
    assert unpack(found) == written
    assert type(unpack(found)) is WireEvent


@given(st.dates(), st.integers(0, 33), st.integers(0, 14))
@example(date(2028, 2, 1), 29, 2)
@example(date(2100, 2, 1), 29, 2)
@example(date(2000, 2, 1), 29, 2)
def test_a_day_is_one_of_the_calendar(near: date, day: int, month: int) -> None:
    text = f"{near.year:04}-{month:02}-{day:02}"
    try:
        date.fromisoformat(text)
    except ValueError:
        exists = False
    else:
        exists = True
    row = pack(encode(event("session_start"))._replace(activity_date=text, occurred_at=f"{text}T00:00:00+00:00"))
    assert (schemas.entry._AS_PACKED.fullmatch(row) is not None) == exists


@given(accepted_events(), TEXTS, TEXTS)
@example(event("session_start"), "a\x1fb", "{}")
@example(event("session_start"), "a\\b", "{}")
@example(event("session_start"), "", '{"a":\x1f1}')
@example(event("session_start"), "\t", "\\\n\r\t\\")
def test_no_character_of_a_text_is_lost_or_moved(original: AcceptedEvent, source: str, properties: str) -> None:
    written = encode(original._replace(source=source, properties=properties))
    for form in FORMS:
        assert read(form(written)) == written


@IN_FORMS
@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_poison_is_judged_as_by_taking_it_apart(poison: Poison, form: Form) -> None:
    fields = form(poison.fields)
    assert outcome(read, fields) == outcome(anew, fields)


def test_every_shape_of_poison_is_malformed_for_its_reason() -> None:
    for name, poison in (shape_poison(1) | row_poison(200)).items():
        if poison.reason in ("missing_field", "invalid_field", "invalid_text", "unknown_event_type"):
            with pytest.raises(MalformedEntry) as error:
                read_row(poison.fields)
            assert error.value.reason == poison.reason, name


def test_a_row_that_is_read_is_one_row_of_copy() -> None:
    for fields in [poison.fields for poison in row_poison(1).values()]:
        with contextlib.suppress(MalformedEntry):
            row = read_row(fields)
            assert "\n" not in row
            assert "\r" not in row
            assert row.count("\t") == len(FIELDS) - 1


@IN_FORMS
def test_noise_is_judged_as_by_taking_it_apart(form: Form) -> None:
    chance = random.Random(1)
    for number in range(2_000):
        fields = form(fuzzed(chance, number))
        assert outcome(read, fields) == outcome(anew, fields), fields


PIECES = ["", *"09-+.:TZAf \n\t\r\\N\x00\x1f٣é", "00", ".000000", "\\N", "\\t", "\\\\"]


@IN_FORMS
@given(any_events(), st.sampled_from(FIELDS), st.integers(0, 40), st.integers(0, 7), st.sampled_from(PIECES))
def test_an_entry_that_is_almost_right_is_judged_as_by_taking_it_apart(
    form: Form, original: AcceptedEvent, name: bytes, at: int, length: int, piece: str
) -> None:
    fields = as_read_before(encode(original))
    value = fields[name].decode()
    fields[name] = (value[:at] + piece + value[at + length :]).encode()
    entry = form(fields)
    assert outcome(read, entry) == outcome(anew, entry)
    if value:
        assert outcome(read, entry) == outcome(read, fields)


@given(any_events(), st.integers(0, 500), st.integers(0, 7), st.sampled_from(PIECES))
def test_a_row_that_is_almost_right_is_judged_as_by_taking_it_apart(
    original: AcceptedEvent, at: int, length: int, piece: str
) -> None:
    row = pack(encode(original))
    fields = {ROW: (row[:at] + piece + row[at + length :]).encode()}
    assert outcome(read, fields) == outcome(anew, fields)


ODD_SPELLINGS: dict[str, dict[str, bytes]] = {
    "an id in upper case": {"event_id": b"019A1B2C-3D4E-7F60-8ABC-0123456789AB"},
    "an id partly in upper case": {"event_id": b"019A1B2C-3d4e-7f60-8abc-0123456789ab"},
    "a session partly in upper case": {"session_id": b"019A1B2C-3d4e-7f60-8abc-0123456789ab"},
    "an id without hyphens": {"event_id": b"019a1b2c3d4e7f608abc0123456789ab"},
    "an id in braces": {"event_id": b"{019a1b2c-3d4e-7f60-8abc-0123456789ab}"},
    "a session that is a URN": {"session_id": UUID(int=7).urn.encode()},
    "a hash in upper case": {"user_hash": b"AB" * 32},
    "a hash with spaces": {"user_hash": b"ab " * 32},
    "a time of Zulu": {"occurred_at": b"2026-01-01T00:00:00Z"},
    "a time of minus zero": {"occurred_at": b"2026-01-01T00:00:00-00:00"},
    "a time with a space": {"received_at": b"2026-01-01 00:00:00+00:00"},
    "a time without seconds": {"received_at": b"2026-01-01T00:00+00:00"},
    "a time in milliseconds": {"occurred_at": b"2026-01-01T00:00:00.123+00:00"},
    "a time with no microseconds written": {"occurred_at": b"2026-01-01T00:00:00.000000+00:00"},
    "a time of arrival with no microseconds written": {"received_at": b"2026-01-01T00:00:00.000000+00:00"},
    "a compact day": {"activity_date": b"20260101"},
    "a day of a week": {"activity_date": b"2026-W01-1"},
    "a version with a sign": {"schema_version": b"+1"},
    "a version below one": {"schema_version": b"-1"},
    "a version of zero": {"schema_version": b"0"},
    "a version with zeros": {"schema_version": b"007"},
}


def test_the_text_of_an_absent_value_is_one_in_a_row_only() -> None:
    with pytest.raises(MalformedEntry):
        read(fields_of(event("session_start"), session_id=rb"\N"))


@IN_FORMS
@pytest.mark.parametrize("changes", ODD_SPELLINGS.values(), ids=ODD_SPELLINGS.keys())
def test_an_event_spelled_otherwise_becomes_as_ingest_writes_it(changes: dict[str, bytes], form: Form) -> None:
    fields = form(fields_of(event("session_start"), **changes))
    assert read(fields) == encode(decode(fields))


@IN_FORMS
@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": "1\N{ARABIC-INDIC DIGIT THREE}".encode()},
        {"occurred_at": "2026-01-01T00:00:0\N{ARABIC-INDIC DIGIT THREE}+00:00".encode()},
        {"occurred_at": b"2026-02-30T00:00:00+00:00"},
        {"received_at": b"2026-01-01T25:00:00+00:00"},
        {"received_at": b"2026-01-01T00:00:00+02:00"},
        {"activity_date": b"2026-02-30"},
        {"activity_date": b"0000-01-01"},
        {"session_id": b"019a1b2c-3d4e-7f60-8abc-0123456789ag"},
        {"event_id": rb"\N"},
        {"user_hash": b"ab" * 31},
    ],
)
def test_what_only_looks_like_what_ingest_writes_is_malformed(changes: dict[str, bytes], form: Form) -> None:
    with pytest.raises(MalformedEntry) as error:
        read(form(fields_of(event("session_start"), **changes)))
    assert error.value.reason == "invalid_field"
