"""Hypothesis strategies and builders of events as the pipeline carries them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from schemas.accepted import AcceptedEvent
from schemas.catalogue import PLATFORM_EVENTS, EventType

NOW = datetime.now(UTC).replace(microsecond=0)

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
"""Properties of each type of event, with every optional one."""

PROPERTIES: dict[EventType, st.SearchStrategy[dict[str, Any]]] = {
    EventType.SESSION_START: st.just({}),
    EventType.SESSION_END: st.fixed_dictionaries(
        {}, optional={"duration_seconds": st.sampled_from([0, 0.5, 12.345, 3600]), "xp_earned": st.just(5)}
    ),
    EventType.MATERIAL_VIEW: st.fixed_dictionaries({"material_id": st.sampled_from(["m1", "m2"])}),
    EventType.MATERIAL_COMPLETE: st.fixed_dictionaries({"material_id": st.sampled_from(["m1", "m2"])}),
    EventType.XP_EARNED: st.fixed_dictionaries({"xp_amount": st.integers(0, 1000)}),
    EventType.LEVEL_UP: st.fixed_dictionaries({"new_level": st.integers(1, 9)}),
    EventType.ACHIEVEMENT_EARNED: st.fixed_dictionaries(
        {"achievement_id": st.sampled_from(["a1", "a2"])},
        optional={"achievement_name": st.sampled_from(["One", "Two"]), "xp_reward": st.integers(0, 100)},
    ),
    EventType.STREAK_UPDATE: st.fixed_dictionaries({"streak_days": st.integers(0, 30)}),
    EventType.AI_MESSAGE_SENT: st.fixed_dictionaries({"message_length": st.integers(0, 100)}),
    EventType.AI_MESSAGE_RECEIVED: st.fixed_dictionaries(
        {"response_time_ms": st.sampled_from([0, 0.5, 1.5, 250])}, optional={"tokens": st.integers(0, 100)}
    ),
    EventType.AI_FEEDBACK_RATED: st.fixed_dictionaries({"rating": st.integers(1, 5)}),
    EventType.API_REQUEST: st.fixed_dictionaries(
        {
            "endpoint": st.sampled_from(["/a", "/b"]),
            "method": st.just("GET"),
            "status_code": st.sampled_from([200, 404, 500]),
            "duration_ms": st.sampled_from([0, 0.3, 1, 17.5, 86_400_000]),
        }
    ),
    EventType.API_ERROR: st.fixed_dictionaries(
        {"endpoint": st.sampled_from(["/a", "/b"]), "error_type": st.sampled_from(["timeout", "crash"])}
    ),
    EventType.SEARCH_QUERY: st.fixed_dictionaries({"query_length": st.just(3), "results_count": st.just(0)}),
}


def learner(number: int) -> bytes:
    """Return the pseudonym of a learner."""
    return hashlib.sha256(f"learner {number}".encode()).digest()


def uuid7(moment: datetime, tail: int) -> UUID:
    """Return a UUIDv7 of this time whose other bits are `tail`."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (0x2 << 62) | (tail & ((1 << 62) - 1)))


def event(event_type: str, facts: dict[str, Any] | None = None, *, number: int = 0, **changes: Any) -> AcceptedEvent:
    """Return an event with the current time, of learner 0. Events with different numbers have different ids."""
    occurred_at: datetime = changes.pop("occurred_at", NOW)
    return AcceptedEvent(
        event_id=uuid7(occurred_at, number),
        event_type=event_type,
        user_hash=learner(0),
        session_id=None,
        occurred_at=occurred_at,
        received_at=NOW,
        activity_date=occurred_at.date(),
        schema_version=1,
        source="tests",
        properties=json.dumps(facts or {}),
    )._replace(**changes)


@st.composite
def accepted_events(draw: st.DrawFn) -> AcceptedEvent:
    """Draw an event of any type in the last weeks, of one of three learners. Equal ids are rare but occur."""
    event_type = draw(st.sampled_from(list(EventType)))
    occurred_at = NOW - timedelta(seconds=draw(st.integers(0, 3 * 86_400)))
    nobody = event_type.value in PLATFORM_EVENTS and draw(st.booleans())
    session = draw(st.none() | st.integers(1, 3))
    return AcceptedEvent(
        event_id=uuid7(NOW - timedelta(days=draw(st.integers(0, 10))), draw(st.integers(0, 40))),
        event_type=event_type.value,
        user_hash=None if nobody else learner(draw(st.integers(1, 3))),
        session_id=None if session is None else UUID(int=session),
        occurred_at=occurred_at,
        received_at=NOW,
        activity_date=draw(st.dates(date(2026, 1, 1), date(2026, 1, 3))),
        schema_version=1,
        source="tests",
        properties=json.dumps(draw(PROPERTIES[event_type])),
    )
