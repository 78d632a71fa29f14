"""What is written to the stream is what is read from it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.accepted import AcceptedEvent
from schemas.entry import FIELDS, ROW, MalformedEntry, by_name, decode, encode, pack, read, unpack, user_hash_of
from tests.support.entries import as_read, as_read_before, in_a_row
from tests.support.events import accepted_events, event
from tests.support.poison import fields_of

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@given(accepted_events(), TEXTS, TEXTS)
def test_both_forms_of_an_entry_hold_the_same_event(original: AcceptedEvent, source: str, properties: str) -> None:
    written = encode(original._replace(source=source, properties=properties))
    assert (
        decode(as_read(written))
        == decode(as_read_before(written))
        == original._replace(source=source, properties=properties)
    )
    assert read(as_read(written)) == read(as_read_before(written)) == unpack(pack(written)) == written
    assert by_name(as_read(written)) == as_read_before(written)
    assert in_a_row(as_read_before(written)) == as_read(written)


def test_a_row_is_what_copy_reads() -> None:
    one = encode(event("xp_earned", source="a\\b", properties='{"a":"\t\\n\n\r"}', user_hash=bytes(32)))
    assert pack(one).split("\t") == [
        *(one.event_id, "xp_earned", r"\\x" + "00" * 32, r"\N", one.occurred_at, one.received_at, one.activity_date),
        *("1", r"a\\b", r'{"a":"\t\\n\n\r"}'),
    ]
    assert pack(one._replace(user_hash="", session_id=one.event_id)).split("\t")[2:4] == [r"\N", one.event_id]


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field_is_named(name: bytes) -> None:
    fields = as_read_before(encode(event("session_start")))
    del fields[name]
    with pytest.raises(MalformedEntry, match=name.decode()) as error:
        decode(fields)
    assert error.value.reason == "missing_field"


WRONG: list[tuple[str, bytes, str]] = [
    ("event_type", b"party", "unknown_event_type"),
    ("event_id", b"17", "invalid_field"),
    ("user_hash", b"zz", "invalid_field"),
    ("user_hash", b"00ff", "invalid_field"),
    ("session_id", b"17", "invalid_field"),
    ("occurred_at", b"yesterday", "invalid_field"),
    ("occurred_at", b"2026-01-01T00:00:00", "invalid_field"),
    ("received_at", b"2026-01-01T00:00:00+02:00", "invalid_field"),
    ("activity_date", b"2026-02-30", "invalid_field"),
    ("schema_version", b"one", "invalid_field"),
    ("source", b"\xff", "invalid_text"),
    ("properties", b"\xff", "invalid_text"),
]


@pytest.mark.parametrize("form", [dict, in_a_row])
@pytest.mark.parametrize(("name", "value", "reason"), WRONG)
def test_what_cannot_be_read_is_malformed(name: str, value: bytes, reason: str, form: Any) -> None:
    fields = form(fields_of(event("session_start"), **{name: value}))
    with pytest.raises(MalformedEntry) as error:
        decode(fields)
    assert error.value.reason == reason
    assert value.decode(errors="replace") not in str(error.value)


@given(st.dictionaries(st.sampled_from(FIELDS), st.binary(max_size=40)) | st.builds(dict, row=st.binary()))
def test_any_entry_decodes_or_is_malformed(fields: dict[Any, bytes]) -> None:
    fields = {ROW if name == "row" else name: value for name, value in fields.items()}
    try:
        decode(fields)
    except MalformedEntry:
        return
    assert by_name(fields).keys() == set(FIELDS)


def test_fields_beside_a_row_stay_and_those_of_its_columns_are_not_believed() -> None:
    written = encode(event("session_start"))
    fields = as_read(written) | {b"newer": b"1", b"source": b"other"}
    assert read(fields) == written
    assert by_name(fields) == as_read_before(written) | {b"newer": b"1"}


def test_a_row_that_cannot_be_split_is_left_whole() -> None:
    fields = {ROW: b"a\tb", b"newer": b"1"}
    assert by_name(fields) == fields


def test_the_learner_of_an_entry_is_found_in_any_form_even_if_the_rest_is_damaged() -> None:
    written = encode(event("session_start"))
    nobody = written._replace(user_hash="")
    for form in (as_read, as_read_before):
        assert user_hash_of(form(written)) == written.user_hash.encode()
        assert user_hash_of(form(nobody)) == b""
    assert user_hash_of({ROW: b"\t".join(as_read(written)[ROW].split(b"\t")[:3])}) == written.user_hash.encode()
    assert user_hash_of({ROW: as_read(written)[ROW] + b"\tmore"}) == written.user_hash.encode()
    assert user_hash_of({ROW: b"damaged"} | as_read_before(written)) == written.user_hash.encode()
    for form in (as_read, as_read_before):
        assert user_hash_of(form(written._replace(user_hash="AB" * 32))) == b"ab" * 32
    assert user_hash_of({ROW: b"a\tb"}) == user_hash_of({b"event_type": b"party"}) == b""
