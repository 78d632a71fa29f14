"""The fast path of reading an entry always gives the same result as parsing and encoding it again."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import schemas.entry
from schemas.accepted import AcceptedEvent
from schemas.entry import FIELDS, MalformedEntry, WireEvent, decode, encode, read
from tests.support.entries import as_read
from tests.support.events import accepted_events, event
from tests.support.poison import Poison, copy_poison, fields_of, fuzzed, shape_poison

POISON = shape_poison(1) | copy_poison(1_000)
TIMES = st.datetimes(timezones=st.just(UTC))
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@st.composite
def any_events(draw: st.DrawFn) -> AcceptedEvent:
    """Draw an event with any time to the microsecond, any printable service name, and any JSON-like text."""
    printable = st.characters(exclude_categories=["Cs"], min_codepoint=0x20)
    return draw(accepted_events())._replace(
        event_id=draw(st.uuids()),
        session_id=draw(st.none() | st.uuids()),
        user_hash=draw(st.none() | st.binary(min_size=32, max_size=32)),
        occurred_at=draw(TIMES),
        received_at=draw(TIMES),
        activity_date=draw(st.dates()),
        schema_version=draw(st.integers(1, 99_999)),
        source=draw(st.text(alphabet=printable)),
        properties=draw(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x1f"))),
    )


def outcome(reader: Callable[[Mapping[bytes, bytes]], WireEvent], fields: Mapping[bytes, bytes]) -> object:
    try:
        return reader(fields)
    except MalformedEntry as error:
        return error.reason, error.detail


def anew(fields: Mapping[bytes, bytes]) -> WireEvent:
    return encode(decode(fields))


@given(any_events())
def test_what_ingest_writes_is_read_without_being_taken_apart(original: AcceptedEvent) -> None:
    written = encode(original)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(schemas.entry, "decode")
        found = read(as_read(written))
    assert found == written
    assert type(found) is WireEvent


@given(accepted_events(), TEXTS, TEXTS)
@example(event("session_start"), "a\x1fb", "{}")
@example(event("session_start"), "", '{"a":\x1f1}')
@example(event("session_start"), "\x1f", "\x1f")
def test_no_character_of_a_text_is_lost_or_moved(original: AcceptedEvent, source: str, properties: str) -> None:
    written = encode(original._replace(source=source, properties=properties))
    assert read(as_read(written)) == written


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_poison_is_judged_as_by_taking_it_apart(poison: Poison) -> None:
    assert outcome(read, poison.fields) == outcome(anew, poison.fields)


def test_every_shape_of_poison_is_malformed_for_its_reason() -> None:
    for name, poison in shape_poison(1).items():
        with pytest.raises(MalformedEntry) as error:
            read(poison.fields)
        assert error.value.reason == poison.reason, name


def test_noise_is_judged_as_by_taking_it_apart() -> None:
    chance = random.Random(1)
    for number in range(2_000):
        fields = fuzzed(chance, number)
        assert outcome(read, fields) == outcome(anew, fields), fields


PIECES = ["", *"09-+.:TZAf \n\t\x00\x1f٣é", "00", ".000000"]


@given(any_events(), st.sampled_from(FIELDS), st.integers(0, 40), st.integers(0, 7), st.sampled_from(PIECES))
def test_an_entry_that_is_almost_right_is_judged_as_by_taking_it_apart(
    original: AcceptedEvent, name: bytes, at: int, length: int, piece: str
) -> None:
    fields = as_read(encode(original))
    value = fields[name].decode()
    fields[name] = (value[:at] + piece + value[at + length :]).encode()
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


@pytest.mark.parametrize("changes", ODD_SPELLINGS.values(), ids=ODD_SPELLINGS.keys())
def test_an_event_spelled_otherwise_becomes_as_ingest_writes_it(changes: dict[str, bytes]) -> None:
    fields = fields_of(event("session_start"), **changes)
    assert read(fields) == encode(decode(fields))


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
        {"user_hash": b"ab" * 31},
    ],
)
def test_what_only_looks_like_what_ingest_writes_is_malformed(changes: dict[str, bytes]) -> None:
    with pytest.raises(MalformedEntry) as error:
        read(fields_of(event("session_start"), **changes))
    assert error.value.reason == "invalid_field"
