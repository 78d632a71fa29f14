"""A letter keeps what ingest would have let in, and nothing else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.accepted import AcceptedEvent
from schemas.dead_letter import NotKept, restore, scrub
from schemas.entry import FIELDS, ROW, decode, encode
from schemas.limits import MAX_EVENT_BYTES
from tests.support.entries import as_read, as_read_before, in_a_row
from tests.support.events import accepted_events, event
from tests.support.poison import CANARY, fuzzed, row_poison

Fields = dict[bytes, bytes]


def fields_of(one: AcceptedEvent, **changes: bytes) -> Fields:
    return as_read_before(encode(one)) | {name.encode(): value for name, value in changes.items()}


def scrubbed(fields: Fields) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(scrub(fields))
    return kept


def properties_of(event_type: str, text: bytes) -> Any:
    return scrubbed(fields_of(event(event_type), properties=text))["properties"]


def meaning(one: AcceptedEvent) -> tuple[object, ...]:
    return (*one[:-1], json.loads(one.properties))


@given(accepted_events())
def test_an_event_that_ingest_wrote_comes_back_whole(original: AcceptedEvent) -> None:
    for form in (as_read, as_read_before):
        assert meaning(decode(restore(scrub(form(encode(original)))))) == meaning(original)


WRITTEN = [
    '{"achievement_id":"é😀\\""}',
    '{"achievement_id":"a","xp_reward":5}',
    f'{{"achievement_id":"sha256-{"0" * 64}"}}',
    '{"achievement_id":"\u0dc1\u0dca\u200d\u0dbb\u0dd3"}',
    '{"achievement_id":"[redacted]"}',
    # of the release before
    '{"achievement_id":"  "}',
]


@pytest.mark.parametrize("properties", WRITTEN)
def test_what_ingest_writes_comes_back_to_the_byte(properties: str) -> None:
    original = event("achievement_earned", properties=properties)
    for form in (as_read, as_read_before):
        assert decode(restore(scrub(form(encode(original))))) == original


def test_a_row_leaves_what_its_values_would_leave_by_name() -> None:
    chance = random.Random(1)
    for number in range(500):
        fields = fuzzed(chance, number)
        if fields.keys() >= set(FIELDS):
            assert scrubbed(in_a_row(fields)) == scrubbed(fields)


def test_no_row_leaves_what_ingest_would_not_have_let_in() -> None:
    for name, poison in row_poison(1).items():
        assert CANARY not in scrub(poison.fields), name


@pytest.mark.parametrize("row", [b"", b"anna@example.org", b"\t" * 10, rb"a\q" + b"\t" * 9, b"\xff"])
def test_a_row_that_cannot_be_split_leaves_only_its_length(row: bytes) -> None:
    assert scrubbed({ROW: row, b"name": b"Anna"}) == {
        "row": {"bytes": len(row)},
        "(others)": {"count": 1, "bytes": 8},
    }
    with pytest.raises(NotKept, match="row"):
        restore(scrub({ROW: row}))


@given(st.dictionaries(st.just(ROW) | st.sampled_from(FIELDS) | st.binary(max_size=20), st.binary(max_size=80)))
def test_any_entry_becomes_text_that_any_column_holds(fields: Fields) -> None:
    payload = scrub(fields)
    assert payload.isascii()
    assert "\x00" not in payload
    assert isinstance(json.loads(payload), dict)


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_another_form_leaves_only_its_length(name: bytes) -> None:
    fields = fields_of(event("xp_earned", {"xp_amount": 5})) | {name: b"anna@example.org"}
    assert scrubbed(fields)[name.decode()] == {"bytes": 16}
    with pytest.raises(NotKept, match=name.decode()):
        restore(scrub(fields))


def test_fields_nobody_knows_are_counted() -> None:
    fields = fields_of(event("session_start"), email=b"anna@example.org", name=b"Anna")
    assert scrubbed(fields)["(others)"] == {"count": 2, "bytes": 29}
    assert restore(scrub(fields)).keys() == set(FIELDS)


def test_an_entry_of_which_no_field_was_known_is_not_kept() -> None:
    with pytest.raises(NotKept, match="every field"):
        restore(scrub({b"newer": b"1"}))
    assert restore(scrub({})) == {}


def test_a_missing_field_stays_missing() -> None:
    fields = fields_of(event("session_start"))
    del fields[b"source"]
    assert b"source" not in restore(scrub(fields))


@pytest.mark.parametrize(
    ("event_type", "text", "kept"),
    [
        ("xp_earned", b'{"xp_amount":"Anna","source":"quiz"}', {"xp_amount": {"bytes": 6}, "source": "quiz"}),
        ("xp_earned", b'{"xp_amount":5,"Anna":"x"}', {"xp_amount": 5, "(others)": {"count": 1, "bytes": 7}}),
        ("xp_earned", b'{"source":"quiz"}', {"source": "quiz"}),
        ("xp_earned", b'{"source":"Anna","source":"quiz","xp_amount":1}', {"source": "quiz", "xp_amount": 1}),
        ("xp_earned", b'["Anna"]', {"bytes": 8}),
        ("xp_earned", b'{"xp_amount":"Anna', {"bytes": 18}),
        ("xp_earned", b"\xff", {"bytes": 1}),
        ("xp_earned", b'{"xp_amount":NaN}', {"xp_amount": {"bytes": 3}}),
        ("xp_earned", b'{"xp_amount":1,"source":"\\ud800"}', {"bytes": 33}),
        ("xp_earned", b'{"xp_amount":1,"source":"a\\u0000"}', {"xp_amount": 1, "source": {"bytes": 9}}),
        ("xp_earned", b'{"xp_amount":1e200000}', {"xp_amount": {"bytes": 8}}),
        ("xp_earned", b"[" * 20_000, {"bytes": 20_000}),
        ("xp_earned", b" " * MAX_EVENT_BYTES + b"{}", {"bytes": MAX_EVENT_BYTES + 2}),
        ("party", b'{"xp_amount":1}', {"bytes": 15}),
    ],
)
def test_properties_are_kept_as_far_as_they_are_allowed(event_type: str, text: bytes, kept: object) -> None:
    assert properties_of(event_type, text) == kept


@pytest.mark.parametrize("text", [b'{"xp_amount":"Anna"}', b'{"xp_amount":5,"Anna":"x"}', b"[1]", b'{"bytes":3}'])
def test_properties_with_a_gap_are_not_decoded_again(text: bytes) -> None:
    with pytest.raises(NotKept, match="properties"):
        restore(scrub(fields_of(event("xp_earned"), properties=text)))
