"""Every event of a body is read as it was sent, or its first fault is told: a code, a place and a sentence."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

import pytest

from ingest.effort import Effort, run_at_once
from ingest.parsing.batch import EventBatch, check_count, parse_batch, parse_event, parse_json, validate_event
from ingest.parsing.faults import find_unstorable, pointer
from ingest.parsing.json_elements import TOO_DEEP, TOO_LARGE
from ingest.rejection import Rejection
from ingest.work import WORK
from schemas.events import MODELS, AnyEvent
from schemas.limits import MAX_BATCH_EVENTS, MAX_DEPTH, MAX_EVENT_BYTES
from tests.support.messages import is_sentence
from web.problems import Refusal

XP: dict[str, Any] = {"event_type": "xp_earned", "user_id": "anna-1", "properties": {"xp_amount": 5}}
KEYS = {f"k{number}": number for number in range(40)}


def with_properties(**properties: Any) -> dict[str, Any]:
    return XP | {"properties": {"xp_amount": 5} | properties}


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


async def parsed(body: bytes) -> list[AnyEvent | Rejection]:
    async with Effort(asyncio.Lock(), 0) as effort:
        return await effort.run(parse_batch(body, effort))


def refusal(body: bytes) -> Refusal:
    with pytest.raises(Refusal) as refused:
        asyncio.run(parsed(body))
    return refused.value


BAD: dict[str, tuple[Any, str, str]] = {
    "a number": (17, "not_an_object", ""),
    "an array": ([XP], "not_an_object", ""),
    "nothing": (None, "not_an_object", ""),
    "an unknown type": (XP | {"event_type": "party"}, "unknown_event_type", "/event_type"),
    "no type": ({"user_id": "anna-1"}, "missing_property", "/event_type"),
    "an unknown key": (XP | {"colour": 1}, "unknown_property", "/colour"),
    "an unknown key that may be a name": (XP | {"ada@example.com": 1}, "unknown_property", "/?"),
    "an unknown property": (with_properties(colour=1), "unknown_property", "/properties/colour"),
    "a missing property": (XP | {"properties": {}}, "missing_property", "/properties/xp_amount"),
    "a missing user": ({"event_type": "session_start"}, "missing_property", "/user_id"),
    "a placeholder": (XP | {"user_id": "undefined"}, "placeholder_id", "/user_id"),
    "a control character": (XP | {"user_id": "an\x01na"}, "invalid_text", "/user_id"),
    "an invisible character": (with_properties(source="a\u200bb"), "invalid_text", "/properties/source"),
    "a timestamp without an offset": (
        XP | {"timestamp": "2026-03-01T09:30:00"},
        "timestamp_without_offset",
        "/timestamp",
    ),
    "a timestamp that is none": (XP | {"timestamp": "yesterday"}, "invalid_timestamp", "/timestamp"),
    "text for a number": (with_properties(xp_amount="5"), "invalid_type", "/properties/xp_amount"),
    "a user that is true": (XP | {"user_id": True}, "invalid_type", "/user_id"),
    "a negative number": (with_properties(xp_amount=-1), "invalid_value", "/properties/xp_amount"),
    "an infinite number": (with_properties(xp_amount=float("inf")), "invalid_number", "/properties/xp_amount"),
    "a number of 26 digits": (with_properties(xp_amount=10**25), "invalid_number", "/properties/xp_amount"),
    "a negative number of 26 digits": (with_properties(xp_amount=-(10**25)), "invalid_number", "/properties/xp_amount"),
    "a number of 25 digits": (with_properties(xp_amount=10**25 - 1), "invalid_value", "/properties/xp_amount"),
    "NUL": (with_properties(source="a\x00b"), "invalid_text", "/properties/source"),
    "a lone surrogate": (with_properties(source="\ud800"), "invalid_text", "/properties/source"),
    "NUL in a key": (with_properties(**{"a\x00b": 1}), "invalid_text", "/properties/?"),
    "a lone surrogate in a list": (XP | {"a": [1, "b", "\ud800"]}, "invalid_text", "/a/2"),
    "the deepest nesting that is read": (XP | {"a": nested(MAX_DEPTH - 1)}, "unknown_property", "/a"),
    "too deep": (XP | {"a": nested(MAX_DEPTH)}, "nesting_too_deep", "/a" + "/0" * (MAX_DEPTH - 1)),
    "33 keys": ({"event_type": "xp_earned", **dict(list(KEYS.items())[:32])}, "unknown_property", "/k0"),
    "33 properties": (with_properties(**dict(list(KEYS.items())[:32])), "unknown_property", "/properties/k0"),
    "33 properties without a required one": (
        XP | {"properties": dict(list(KEYS.items())[:33])},
        "unknown_property",
        "/properties/k0",
    ),
    "32 properties without a required one": (
        XP | {"properties": dict(list(KEYS.items())[:32])},
        "missing_property",
        "/properties/xp_amount",
    ),
    "32 keys without a user": (dict(list(KEYS.items())[:32]), "missing_property", "/event_type"),
    "a large event": (with_properties(source="x" * MAX_EVENT_BYTES), "event_too_large", ""),
    "an event that is large in UTF-8": (with_properties(source="\u4e00" * 11_000), "event_too_large", ""),
    "an element that could not be read": (TOO_DEEP, "nesting_too_deep", ""),
    "a part that could not be read": (with_properties(source=TOO_LARGE), "event_too_large", "/properties/source"),
}


@pytest.mark.parametrize(("event", "code", "place"), BAD.values(), ids=BAD)
def test_the_first_fault_of_an_event_is_told(event: Any, code: str, place: str) -> None:
    found = validate_event(event)
    assert isinstance(found, Rejection)
    assert (found.code, found.pointer) == (code, place)
    assert found.detail


@pytest.mark.parametrize(
    "name",
    [
        "a number",
        "an unknown type",
        "an unknown key",
        "a missing property",
        "a placeholder",
        "a control character",
        "a timestamp without an offset",
        "an infinite number",
        "NUL",
        "too deep",
        "33 keys",
        "a large event",
    ],
)
def test_a_fault_is_told_in_a_sentence(name: str) -> None:
    event, _, _ = BAD[name]
    found = validate_event(event)
    assert isinstance(found, Rejection)
    assert is_sentence(found.detail)


def test_the_sentence_of_a_number_names_its_limit() -> None:
    found = validate_event(with_properties(xp_amount=10**25))
    assert isinstance(found, Rejection)
    assert "25 digits" in found.detail


@pytest.mark.parametrize("number", [10**25, -(10**25), float("nan"), float("inf"), float("-inf")])
def test_a_number_that_no_event_can_hold_is_found_wherever_it_is(number: float) -> None:
    for value, location, place in ((number, (), ""), ({"a": [0, number]}, ("b",), "/b/a/1"), ([[number]], (), "/0/0")):
        found = find_unstorable(value, location)
        assert found is not None
        assert (found.code, found.pointer) == ("invalid_number", place)


@pytest.mark.parametrize(
    "value",
    [10**25 - 1, -(10**25 - 1), 1e300, -1e300, 0, True, None, "", "\u00fc", [], {}, {"a": [1, 2.5, "b", None, False]}],
)
def test_what_an_event_can_hold_is_not_rejected(value: object) -> None:
    assert find_unstorable(value) is None


@pytest.mark.parametrize("text", ["\x00", "a\x00", "\ud800", "a\udfff"])
def test_text_that_cannot_be_stored_is_found_as_a_value_and_as_a_key(text: str) -> None:
    for value, place in ((text, ""), ([text], "/0"), ({"a": text}, "/a"), ({text: 1}, "/?")):
        found = find_unstorable(value)
        assert found is not None
        assert (found.code, found.pointer) == ("invalid_text", place)
        assert is_sentence(found.detail)


def test_every_fault_of_an_event_with_several_is_told_in_the_order_of_the_event() -> None:
    found = find_unstorable({"a": [1, {"b": "\x00"}], "c": float("inf")})
    assert found is not None
    assert found.pointer == "/a/1/b"


def test_the_deepest_array_that_is_read_is_at_the_limit() -> None:
    assert find_unstorable(nested(MAX_DEPTH)) is None
    found = find_unstorable(nested(MAX_DEPTH + 1))
    assert found is not None
    assert (found.code, found.pointer) == ("nesting_too_deep", "/0" * MAX_DEPTH)
    assert str(MAX_DEPTH) in found.detail


def test_a_pointer_is_made_of_names_and_positions() -> None:
    assert pointer(()) == ""
    assert pointer(("properties", 3, "xp_amount")) == "/properties/3/xp_amount"


@pytest.mark.parametrize("known", ["event_id", "xp_amount"])
def test_of_many_keys_the_first_unknown_one_is_told(known: str) -> None:
    found = validate_event({known: 1} | KEYS)
    assert isinstance(found, Rejection)
    assert (found.code, found.pointer) == ("unknown_property", "/k0")


def test_an_event_of_the_largest_size_is_read() -> None:
    rest = len(json.dumps(with_properties(source=""), separators=(",", ":")))
    largest, larger = (with_properties(source="x" * (MAX_EVENT_BYTES - rest + more)) for more in (0, 1))
    for event, code in ((largest, "invalid_value"), (larger, "event_too_large")):
        found = validate_event(event)
        assert isinstance(found, Rejection)
        assert found.code == code


def test_a_valid_event_is_an_event_of_its_model() -> None:
    for found in (validate_event(XP), parse_event(json.dumps(XP).encode())):
        assert isinstance(found, MODELS["xp_earned"])
        assert found.user_id == "anna-1"


def test_a_body_with_one_event_is_read_or_its_fault_is_told() -> None:
    found = parse_event(json.dumps(XP | {"colour": 1}).encode())
    assert isinstance(found, Rejection)
    assert (found.code, found.pointer) == ("unknown_property", "/colour")
    assert parse_event(b" " * (MAX_EVENT_BYTES - 2) + b"17") == validate_event(17)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b" " * (MAX_EVENT_BYTES - 1) + b"17", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "event_too_large"),
        (b"{", HTTPStatus.BAD_REQUEST, "unreadable_body"),
        (b"", HTTPStatus.BAD_REQUEST, "unreadable_body"),
    ],
)
def test_a_body_that_holds_no_event_is_refused(body: bytes, status: HTTPStatus, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_event(body)
    assert (refused.value.status, refused.value.code) == (status, code)
    assert is_sentence(refused.value.detail)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[]", HTTPStatus.BAD_REQUEST, "empty_batch"),
        (b'{"events":[]}', HTTPStatus.BAD_REQUEST, "empty_batch"),
        (b"{}", HTTPStatus.BAD_REQUEST, "invalid_envelope"),
        (b"5", HTTPStatus.BAD_REQUEST, "invalid_envelope"),
        (b'{"events":{}}', HTTPStatus.BAD_REQUEST, "invalid_envelope"),
        (b'{"events":[1],"sent_at":1}', HTTPStatus.BAD_REQUEST, "invalid_envelope"),
        (b'{"events":[1],"events":[1]}', HTTPStatus.BAD_REQUEST, "invalid_envelope"),
        (b"[1", HTTPStatus.BAD_REQUEST, "unreadable_body"),
        (b"\xff", HTTPStatus.BAD_REQUEST, "unreadable_body"),
        (b'{"events":[' + json.dumps(XP).encode() + b"]}\x0b", HTTPStatus.BAD_REQUEST, "unreadable_body"),
        (b"[" + b"1," * MAX_BATCH_EVENTS + b"1]", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_events"),
    ],
)
def test_a_body_that_is_no_batch_is_refused(body: bytes, status: HTTPStatus, code: str) -> None:
    refused = refusal(body)
    assert (refused.status, refused.code) == (status, code)
    assert is_sentence(refused.detail)


def test_what_is_no_json_is_refused_with_its_place() -> None:
    assert refusal(b"[1,").detail == "The body is not JSON: Expecting value, at character 3."


@pytest.mark.parametrize("events", [[XP], [XP] * MAX_BATCH_EVENTS])
async def test_a_batch_is_an_array_or_an_envelope(events: list[Any]) -> None:
    for batch in (events, {"events": events}):
        found = await parsed(json.dumps(batch).encode())
        assert len(found) == len(events)
        assert all(isinstance(one, MODELS["xp_earned"]) for one in found)


async def test_too_many_valid_events_are_refused() -> None:
    with pytest.raises(Refusal) as refused:
        await parsed(json.dumps([XP] * (MAX_BATCH_EVENTS + 1)).encode())
    assert (refused.value.status, refused.value.code) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_events")
    assert str(MAX_BATCH_EVENTS) in refused.value.detail


def test_a_batch_has_at_least_one_event_and_at_most_the_limit() -> None:
    check_count([1])
    check_count([1] * MAX_BATCH_EVENTS)
    for count, code in ((0, "empty_batch"), (MAX_BATCH_EVENTS + 1, "too_many_events")):
        with pytest.raises(Refusal, match=code):
            check_count([1] * count)


@pytest.mark.parametrize("envelope", ["%s", '{"events":%s}'])
async def test_a_bad_event_costs_its_neighbours_nothing(envelope: str) -> None:
    first, bad, last = await parsed((envelope % json.dumps([XP, XP | {"colour": 1}, XP])).encode())
    assert isinstance(first, MODELS["xp_earned"])
    assert isinstance(bad, Rejection)
    assert first == last


async def test_bytes_that_are_not_utf_8_are_a_fault_of_their_event() -> None:
    first, bad = await parsed(b"[" + json.dumps(XP).encode() + b',{"user_id":"\xff"}]')
    assert isinstance(first, MODELS["xp_earned"])
    assert isinstance(bad, Rejection)
    assert (bad.code, bad.pointer) == ("invalid_text", "/user_id")


def test_the_array_of_another_key_can_be_read() -> None:
    large = b'{"batch":[1,"' + b"x" * MAX_EVENT_BYTES + b'"]}'
    assert run_at_once(parse_json(large, "batch")) == {"batch": [1, TOO_LARGE]}
    assert run_at_once(parse_json(large)) == {"batch": TOO_LARGE}


def test_an_envelope_and_an_array_are_described_alike() -> None:
    assert EventBatch.model_validate_json(json.dumps({"events": [XP]})).events == [validate_event(XP)]


@pytest.mark.parametrize(
    ("event", "cost"),
    [
        (XP, 18),
        (with_properties(source="x" * 320), 28),
        (XP | {"user_id": "\u00fc" * 100}, 74),
        (XP | {"session_id": "a%20b"}, 20),
        (XP | {"user_id": 5, "session_id": ["a%20b"]}, 18),
        (XP | {"a": [0] * 300}, 137),
    ],
)
def test_the_work_of_an_event_is_counted(event: dict[str, Any], cost: int) -> None:
    before = WORK.units
    validate_event(event)
    assert WORK.units - before == cost


def test_the_work_of_a_valid_event_alone_is_not_counted() -> None:
    before = WORK.units
    parse_event(json.dumps(XP).encode())
    assert WORK.units == before
