"""The event a sender posts: strict types, no unknown keys, nothing personal invited."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from schemas.event_types import EventType
from schemas.events import EVENT, AnyEvent

COMPLETE: dict[str, dict[str, Any]] = {
    "session_start": {"material_id": "m", "material_type": "pdf", "platform": "web"},
    "session_end": {"duration_seconds": 60.5, "xp_earned": 5},
    "material_view": {"material_id": "m", "material_type": "pdf", "duration_seconds": 5, "progress_percentage": 50.0},
    "material_complete": {"material_id": "m", "material_type": "pdf", "duration_seconds": 5, "score": 100},
    "xp_earned": {"xp_amount": 10, "source": "quiz"},
    "level_up": {"new_level": 2, "previous_level": 1},
    "achievement_earned": {"achievement_id": "a", "achievement_name": "First", "xp_reward": 5},
    "streak_update": {"streak_days": 3},
    "ai_message_sent": {"conversation_id": "c", "message_length": 12},
    "ai_message_received": {"conversation_id": "c", "response_time_ms": 250, "tokens": 10, "model": "small"},
    "ai_feedback_rated": {"conversation_id": "c", "rating": 5},
    "api_request": {"endpoint": "/a/{id}", "method": "GET", "status_code": 200, "duration_ms": 1.5},
    "api_error": {"endpoint": "/a/{id}", "method": "GET", "status_code": 500, "error_type": "timeout"},
    "search_query": {"query_length": 3, "results_count": 0},
}


def parsed(**event: Any) -> AnyEvent:
    return EVENT.validate_json(json.dumps(event))


def faults(**event: Any) -> list[tuple[str, tuple[int | str, ...]]]:
    with pytest.raises(ValidationError) as error:
        parsed(**event)
    return [(fault["type"], fault["loc"][1:]) for fault in error.value.errors()]


def test_every_type_has_a_model() -> None:
    models = get_args(get_args(AnyEvent)[0])
    names = {get_args(model.model_fields["event_type"].annotation)[0] for model in models}
    assert names == {kind.value for kind in EventType} == set(COMPLETE)


@pytest.mark.parametrize("event_type", COMPLETE)
def test_every_documented_property_is_accepted_and_kept(event_type: str) -> None:
    event = parsed(event_type=event_type, user_id="u", properties=COMPLETE[event_type])
    assert event.properties.model_dump() == COMPLETE[event_type]


@pytest.mark.parametrize("event_type", COMPLETE)
def test_an_unknown_property_is_named(event_type: str) -> None:
    properties = COMPLETE[event_type] | {"email": "x"}
    assert ("extra_forbidden", ("properties", "email")) in faults(
        event_type=event_type, user_id="u", properties=properties
    )


@pytest.mark.parametrize("event_type", COMPLETE)
def test_who_must_say_whose_event_it_is(event_type: str) -> None:
    if EventType(event_type).is_learner_event:
        assert ("missing", ("user_id",)) in faults(event_type=event_type, properties=COMPLETE[event_type])
    else:
        assert parsed(event_type=event_type, properties=COMPLETE[event_type]).user_id is None


@pytest.mark.parametrize(
    ("event_type", "name", "value"),
    [
        ("xp_earned", "xp_amount", -1),
        ("xp_earned", "xp_amount", 1.5),
        ("xp_earned", "xp_amount", True),
        ("xp_earned", "xp_amount", "10"),
        ("xp_earned", "source", "a\u0000b"),
        ("xp_earned", "source", ""),
        ("xp_earned", "source", "x" * 129),
        ("material_view", "progress_percentage", 100.1),
        ("material_view", "duration_seconds", -1),
        ("material_view", "duration_seconds", float("nan")),
        ("material_complete", "score", float("inf")),
        ("ai_feedback_rated", "rating", 6),
        ("api_request", "status_code", 99),
        ("api_request", "method", "BREW"),
        ("level_up", "new_level", 0),
    ],
)
def test_a_value_out_of_range_is_pointed_at(event_type: str, name: str, value: object) -> None:
    found = faults(event_type=event_type, user_id="u", properties=COMPLETE[event_type] | {name: value})
    assert [location for _, location in found] == [("properties", name)]


@pytest.mark.parametrize("timestamp", [1_700_000_000, "2026-01-01T00:00:00", "yesterday", ""])
def test_a_timestamp_needs_rfc_3339_with_an_offset(timestamp: object) -> None:
    found = faults(event_type="session_start", user_id="u", timestamp=timestamp)
    assert [location for _, location in found] == [("timestamp",)]


SESSION = "0190163d-8694-439b-aea5-966c26f8ad91"


@pytest.mark.parametrize(
    "sent", [SESSION, SESSION.upper(), SESSION.replace("-", ""), f"urn:uuid:{SESSION}", f"{{{SESSION}}}"]
)
def test_a_session_is_a_uuid_in_any_form_and_kept_in_one(sent: str) -> None:
    assert parsed(event_type="session_start", user_id="u", session_id=sent).session_id == SESSION


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        ("", "uuid_parsing"),
        ("17", "uuid_parsing"),
        (f"{SESSION}\n", "uuid_parsing"),
        (f"{SESSION}0", "uuid_parsing"),
        (f"0{SESSION}", "uuid_parsing"),
        (SESSION.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"), "uuid_parsing"),
        (17, "string_type"),
        ([SESSION], "string_type"),
    ],
)
def test_a_session_that_is_no_uuid_is_one_fault(sent: Any, fault: str) -> None:
    assert faults(event_type="session_start", user_id="u", session_id=sent) == [(fault, ("session_id",))]
