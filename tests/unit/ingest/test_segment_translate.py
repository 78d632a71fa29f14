"""A Segment message becomes the event that a native sender would have sent, or is rejected with the reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.acceptance.accept import Acceptance
from ingest.parsing.batch import validate_event
from ingest.privacy.detectors import find_personal
from ingest.privacy.firewall import Edit
from ingest.rejection import Rejection
from ingest.segment.mapping import EventMapping, parse_mapping
from ingest.segment.messages import UNSUPPORTED
from ingest.segment.timestamps import clock_ahead
from ingest.segment.translate import Translation, translate
from schemas.catalogue import EventType
from schemas.entry import encode
from schemas.events import MODELS
from tests.support.events import PROPERTIES, event

MAPPING = parse_mapping(
    json.dumps(
        {
            "Lesson Viewed": {
                "event_type": "material_view",
                "properties": {"lesson_id": "material_id", "lesson": "material_id", "visit": "session_id"},
                "ignore": ["title"],
            }
        }
    ),
    "mapping",
)
NOW = datetime(2026, 3, 1, 9, 30, 1, tzinfo=UTC)
SESSION = "0190163d-8694-739b-aea5-966c26f8ad91"
# as segment-analytics-python 2.4 sends it
TRACK = {
    "integrations": {},
    "anonymousId": None,
    "properties": {"xp_amount": 5},
    "timestamp": "2026-03-01T09:30:00.123+00:00",
    "context": {"library": {"name": "analytics-python", "version": "2.4.0"}, "ip": "198.51.100.7"},
    "userId": "learner-7",
    "type": "track",
    "event": "XP Earned",
    "messageId": "7b3a1e0c-6a3e-4f43-9a53-2e7f6f1f5d10",
}
EVENT = {
    "event_type": "xp_earned",
    "event_id": "7b3a1e0c-6a3e-4f43-9a53-2e7f6f1f5d10",
    "user_id": "learner-7",
    "timestamp": "2026-03-01T09:30:00.123+00:00",
    "properties": {"xp_amount": 5},
}


def translated(message: Any, mapping: EventMapping = MAPPING, sent_at: Any = None) -> Translation:
    found = translate(message, mapping, NOW, clock_ahead(sent_at, NOW))
    assert isinstance(found, Translation)
    return found


def refused(message: Any) -> tuple[str, str]:
    found = translate(message, MAPPING, NOW)
    assert isinstance(found, Rejection)
    return found.code, found.pointer


def test_a_track_is_the_event_a_native_sender_would_have_sent() -> None:
    assert translated(TRACK).event == EVENT


@given(st.sampled_from(EventType), st.data())
def test_every_type_passes_with_the_properties_it_has(event_type: EventType, data: st.DataObject) -> None:
    properties = data.draw(PROPERTIES[event_type])
    name = data.draw(st.sampled_from([event_type.value, event_type.value.replace("_", " ").title()]))
    accepted = validate_event(translated(TRACK | {"event": name, "properties": properties}).event)
    assert isinstance(accepted, MODELS[event_type])
    assert accepted.model_dump(exclude_unset=True)["properties"] == properties


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
READ = ("type", "event", "messageId", "userId", "anonymousId", "timestamp", "originalTimestamp", "sentAt", "properties")


@given(st.dictionaries(st.text().filter(lambda name: name not in READ), JSON, max_size=5))
def test_what_else_a_client_sends_gets_no_further(extra: dict[str, Any]) -> None:
    assert translated(extra | TRACK) == translated(TRACK)


TRACKS = st.fixed_dictionaries(
    {"type": st.just("track"), "event": st.sampled_from(["XP Earned", "Lesson Viewed", "search_query"])},
    optional=dict.fromkeys(READ[2:], JSON),
)


@given(TRACKS | st.dictionaries(st.sampled_from(READ), JSON) | JSON)
def test_every_message_has_a_verdict(message: Any) -> None:
    found = translate(message, MAPPING, NOW)
    judged = found if isinstance(found, Rejection) else validate_event(found.event)
    assert isinstance(judged, (Rejection, *MODELS.values()))


@pytest.mark.parametrize("call", UNSUPPORTED)
def test_a_call_with_nothing_to_be_stored_is_named_as_that(call: str) -> None:
    assert refused(TRACK | {"type": call, "traits": {"email": "ada@example.com"}}) == ("unsupported_call", "")


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"type": None}, "missing_property", "/type"),
        ({"type": "delete"}, "invalid_value", "/type"),
        ({"type": ["track"]}, "invalid_value", "/type"),
        ({"event": None}, "missing_property", "/event"),
        ({"event": 5}, "invalid_type", "/event"),
        ({"event": "Lesson Opened"}, "unknown_event", "/event"),
        ({"event": ""}, "unknown_event", "/event"),
        ({"properties": []}, "invalid_type", "/properties"),
        (
            {"event": "Lesson Viewed", "properties": {"lesson_id": "a", "material_id": "b"}},
            "ambiguous_property",
            "/properties/material_id",
        ),
    ],
)
def test_what_is_no_event_is_told_with_its_place(change: dict[str, Any], code: str, pointer: str) -> None:
    assert refused(TRACK | change) == (code, pointer)


def test_what_is_no_object_is_told_as_for_native_senders() -> None:
    assert refused("track") == refused(None) == ("not_an_object", "")


def test_a_mapping_renames_and_ignores_and_keeps_values_as_they_are() -> None:
    given = {"lesson_id": 17, "title": "Limits", "progress_percentage": 5.5}
    found = translated(TRACK | {"event": "Lesson Viewed", "properties": given})
    assert found.event["event_type"] == "material_view"
    assert found.event["properties"] == {"material_id": 17, "progress_percentage": 5.5}


@pytest.mark.parametrize("name", ["session_id", "visit"])
def test_a_session_id_that_is_a_uuid_goes_to_the_envelope(name: str) -> None:
    found = translated(TRACK | {"event": "Lesson Viewed", "properties": {"lesson": "a", name: SESSION}})
    assert found.event["session_id"] == SESSION
    assert found.event["properties"] == {"material_id": "a"}


@pytest.mark.parametrize(
    ("session_id", "ours"),
    [
        (SESSION.replace("-", ""), SESSION.replace("-", "")),
        (SESSION.upper(), SESSION.upper()),
        ("visit-17", "visit-17"),
        (1763942400, "1763942400"),
        (17.0, "17"),
        (None, None),
    ],
)
def test_a_session_id_is_any_text_or_whole_number(session_id: Any, ours: str | None) -> None:
    found = translated(TRACK | {"properties": {"xp_amount": 5, "session_id": session_id}})
    assert found.event.get("session_id") == ours
    assert found.event["properties"] == {"xp_amount": 5}


@pytest.mark.parametrize("session_id", [True, 1.5, ["17"], {"id": "17"}])
@pytest.mark.parametrize("name", ["session_id", "visit"])
def test_what_is_no_session_id_is_told_what_it_must_be(name: str, session_id: Any) -> None:
    found = translate(TRACK | {"event": "Lesson Viewed", "properties": {"lesson": "a", name: session_id}}, MAPPING, NOW)
    assert isinstance(found, Rejection)
    assert (found.code, found.pointer) == ("invalid_type", f"/properties/{name}")
    assert "1 to 128 characters" in found.detail


def test_a_session_id_that_is_refused_is_told_where_the_sender_wrote_it() -> None:
    found = translated(TRACK | {"event": "Lesson Viewed", "properties": {"lesson": "a", "visit": "x" * 200}})
    rejection = validate_event(found.event)
    assert isinstance(rejection, Rejection)
    told = found.with_message_pointers(rejection)
    assert isinstance(told, Rejection)
    assert told.pointer == "/properties/visit"


@pytest.mark.parametrize(("number", "text"), [(7, "7"), (7.0, "7"), (10**24, str(10**24))])
def test_ids_that_are_whole_numbers_are_their_decimal_text(number: Any, text: str) -> None:
    event = translated(TRACK | {"userId": number, "messageId": number}).event
    assert (event["user_id"], event["event_id"]) == (text, text)
    assert translated(TRACK | {"userId": None, "anonymousId": number}).event["user_id"] == text
    assert isinstance(validate_event(event), MODELS["xp_earned"])


@pytest.mark.parametrize("wrong", [True, 7.5, 1e300, ["7"], {"id": 7}])
def test_other_values_are_no_ids(wrong: Any) -> None:
    for name in ("userId", "messageId"):
        judged = validate_event(translated(TRACK | {name: wrong}).event)
        assert isinstance(judged, Rejection)
        assert judged.code == "invalid_type"


AHEAD = {"timestamp": "2026-03-01T12:30:00.123+02:00", "sentAt": "2026-03-01T10:30:01Z"}


def test_a_clock_that_is_ahead_is_corrected_in_the_offset_of_the_learner_and_told() -> None:
    found = translated(TRACK | AHEAD)
    assert found.event["timestamp"] == "2026-03-01T11:30:00.123000+02:00"
    [edit] = found.edits
    assert (edit["pointer"], edit["code"]) == ("/timestamp", "clock_ahead")
    assert "1:00:00" in edit["detail"]
    original = translated(TRACK | AHEAD | {"originalTimestamp": AHEAD["timestamp"], "timestamp": None})
    assert original.event["timestamp"] == found.event["timestamp"]
    assert original.edits[0]["pointer"] == "/originalTimestamp"


def test_the_stamp_of_a_batch_is_that_of_its_messages_unless_they_have_their_own() -> None:
    timestamp = {"timestamp": AHEAD["timestamp"]}
    assert translated(TRACK | timestamp, sent_at=AHEAD["sentAt"]) == translated(TRACK | AHEAD)
    assert translated(TRACK | AHEAD | {"sentAt": NOW.isoformat()}, sent_at=AHEAD["sentAt"]).edits == []


@pytest.mark.parametrize(
    "change",
    [
        {"sentAt": (NOW + timedelta(minutes=1)).isoformat()},
        {"sentAt": (NOW - timedelta(hours=5)).isoformat()},
        {"sentAt": "soon"},
        {"sentAt": "2026-03-01T10:30:01"},
        {"timestamp": None, "sentAt": AHEAD["sentAt"]},
        {"timestamp": "yesterday", "sentAt": AHEAD["sentAt"]},
        {"timestamp": "0001-01-01T00:00:00Z", "sentAt": AHEAD["sentAt"]},
        {"timestamp": "2026-03-01T09:30:00", "sentAt": AHEAD["sentAt"]},
    ],
)
def test_without_two_stamps_and_a_clock_that_is_ahead_nothing_is_corrected(change: dict[str, Any]) -> None:
    message = TRACK | change
    found = translated(message)
    assert (found.event.get("timestamp"), found.edits) == (message["timestamp"], [])


@given(
    ahead=st.timedeltas(timedelta(minutes=1, microseconds=1), timedelta(days=3_650)),
    age=st.timedeltas(timedelta(0), timedelta(days=30)),
    delay=st.timedeltas(timedelta(0), timedelta(hours=5)),
)
def test_a_message_that_is_stamped_and_sent_again_is_of_the_same_time(
    ahead: timedelta, age: timedelta, delay: timedelta
) -> None:
    happened = (NOW + ahead - age).isoformat()
    first = translate(TRACK | {"timestamp": happened, "sentAt": (NOW + ahead).isoformat()}, MAPPING, NOW)
    later = NOW + delay
    again = translate(TRACK | {"timestamp": happened, "sentAt": (later + ahead).isoformat()}, MAPPING, later)
    assert isinstance(first, Translation)
    assert isinstance(again, Translation)
    assert first.event == again.event
    assert datetime.fromisoformat(first.event["timestamp"]) == NOW - age


@pytest.mark.parametrize(
    ("user_id", "anonymous_id", "learner"),
    [("u", "a", "u"), ("u", None, "u"), (None, "a", "a"), ("", "a", "a"), (None, None, None)],
)
def test_the_learner_is_the_user_or_else_the_anonymous_one(
    user_id: str | None, anonymous_id: str | None, learner: str | None
) -> None:
    assert translated(TRACK | {"userId": user_id, "anonymousId": anonymous_id}).event.get("user_id") == learner


def test_the_time_is_the_timestamp_or_else_the_original_one() -> None:
    original = "2026-03-01T09:29:59.000Z"
    both = TRACK | {"originalTimestamp": original}
    assert translated(both).event["timestamp"] == TRACK["timestamp"]
    assert translated(both | {"timestamp": None}).event["timestamp"] == original
    assert "timestamp" not in translated(TRACK | {"timestamp": None}).event


PLACES: dict[str, tuple[dict[str, Any], str]] = {
    "user": ({"userId": [5]}, "/userId"),
    "no user": ({"userId": None}, "/userId"),
    "anonymous": ({"userId": None, "anonymousId": [5]}, "/anonymousId"),
    "message id": ({"messageId": ["a"]}, "/messageId"),
    "timestamp": ({"timestamp": "yesterday"}, "/timestamp"),
    "original timestamp": ({"timestamp": None, "originalTimestamp": "yesterday"}, "/originalTimestamp"),
    "property": ({"properties": {"xp_amount": "5"}}, "/properties/xp_amount"),
    "unknown property": ({"properties": {"xp_amount": 5, "title": "a"}}, "/properties/title"),
    "untellable property": ({"properties": {"xp_amount": 5, "ada@example.com": 1}}, "/properties/?"),
    "renamed": ({"event": "Lesson Viewed", "properties": {"lesson": 17}}, "/properties/lesson"),
    "inside of a renamed one": (
        {"event": "Lesson Viewed", "properties": {"lesson": [float("inf")]}},
        "/properties/lesson/0",
    ),
}


@pytest.mark.parametrize(("change", "pointer"), PLACES.values(), ids=PLACES.keys())
def test_what_is_wrong_is_told_where_the_sender_wrote_it(change: dict[str, Any], pointer: str) -> None:
    found = translated(TRACK | change)
    rejection = validate_event(found.event)
    assert isinstance(rejection, Rejection)
    told = found.with_message_pointers(rejection)
    assert isinstance(told, Rejection)
    assert told.pointer == pointer


def test_what_is_stored_otherwise_is_told_where_the_sender_wrote_it() -> None:
    found = translated(TRACK | {"event": "Lesson Viewed", "properties": {"lesson": "ada@example.com"}})
    edit = Edit("/properties/material_id", "personal_data", "Stored hashed.")
    told = found.with_message_pointers(Acceptance(encode(event("session_start")), (edit,)))
    assert isinstance(told, Acceptance)
    assert told.edits == (edit._replace(pointer="/properties/lesson"),)


def test_the_message_ids_of_the_official_clients_name_nobody() -> None:
    for number in range(20_000):
        for message_id in (str(uuid4()), f"node-next-{1_650_000_000_000 + number * 7_919}-{uuid4()}"):
            assert find_personal(message_id) is None
