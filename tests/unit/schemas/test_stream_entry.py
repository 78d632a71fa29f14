"""What is written to the stream is what is read from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.accepted import AcceptedEvent
from schemas.entry import FIELDS, MalformedEntry, decode, encode
from tests.support.entries import as_read
from tests.support.events import accepted_events, event


@given(accepted_events())
def test_decode_undoes_encode(original: AcceptedEvent) -> None:
    assert decode(as_read(encode(original))) == original


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_properties_keep_every_character(properties: str) -> None:
    original = event("session_start")._replace(properties=properties)
    assert decode(as_read(encode(original))).properties == properties


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field_is_named(name: bytes) -> None:
    fields = as_read(encode(event("session_start")))
    del fields[name]
    with pytest.raises(MalformedEntry, match=name.decode()) as error:
        decode(fields)
    assert error.value.reason == "missing_field"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (b"event_type", b"party", "unknown_event_type"),
        (b"event_id", b"17", "invalid_field"),
        (b"user_hash", b"zz", "invalid_field"),
        (b"user_hash", b"00ff", "invalid_field"),
        (b"session_id", b"17", "invalid_field"),
        (b"occurred_at", b"yesterday", "invalid_field"),
        (b"occurred_at", b"2026-01-01T00:00:00", "invalid_field"),
        (b"received_at", b"2026-01-01T00:00:00+02:00", "invalid_field"),
        (b"activity_date", b"2026-02-30", "invalid_field"),
        (b"schema_version", b"one", "invalid_field"),
        (b"source", b"\xff", "invalid_text"),
        (b"properties", b"\xff", "invalid_text"),
    ],
)
def test_what_cannot_be_read_is_malformed(name: bytes, value: bytes, reason: str) -> None:
    fields = as_read(encode(event("session_start"))) | {name: value}
    with pytest.raises(MalformedEntry) as error:
        decode(fields)
    assert error.value.reason == reason
    assert value.decode(errors="replace") not in str(error.value)


@given(st.dictionaries(st.sampled_from(FIELDS), st.binary(max_size=40)))
def test_any_entry_decodes_or_is_malformed(fields: dict[bytes, bytes]) -> None:
    try:
        decoded = decode(fields)
    except MalformedEntry:
        return
    assert as_read(encode(decoded)).keys() == fields.keys()
