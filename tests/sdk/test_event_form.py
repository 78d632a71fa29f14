"""What a call becomes before it is sent: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studyin_analytics.errors import InvalidEvent
from studyin_analytics.event_form import encoded, new_event
from studyin_analytics.event_ids import RANDOM_BITS, uuid7
from studyin_analytics.schemas.identifiers import canonical_event_id, milliseconds_of

NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
XP = {"xp_amount": 5}


def event(properties: dict[str, Any], event_type: str = "xp_earned", **said: Any) -> dict[str, Any]:
    facts = {"user_id": "u", "session_id": None, "timestamp": None, "event_id": None} | said
    return new_event(
        event_type,
        facts["user_id"],
        properties,
        facts["session_id"],
        facts["timestamp"],
        facts["event_id"],
        now=NOW,
        chance=1,
    )


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**RANDOM_BITS - 1))
def test_an_id_is_a_uuid7_that_ingest_keeps(milliseconds: int, chance: int) -> None:
    made = uuid7(milliseconds, chance)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert milliseconds_of(str(made)) == milliseconds
    assert canonical_event_id(str(made)) == made


@given(st.integers(0, 2**RANDOM_BITS - 1), st.integers(0, 2**RANDOM_BITS - 1))
def test_no_chance_is_wasted(one: int, other: int) -> None:
    assert (uuid7(5, one) == uuid7(5, other)) == (one == other)


def test_what_was_not_said_is_not_sent() -> None:
    assert event({"xp_amount": 5, "source": None}) == {
        "event_type": "xp_earned",
        "event_id": str(uuid7(int(NOW.timestamp() * 1000), 1)),
        "timestamp": "2026-03-01T23:30:00+00:00",
        "user_id": "u",
        "properties": {"xp_amount": 5},
    }


def test_ids_of_any_type_are_written_as_text() -> None:
    session = UUID(int=5)
    made = event({"material_id": 12}, "material_view", user_id=7, session_id=session, event_id=session)
    assert (made["user_id"], made["session_id"], made["event_id"]) == ("7", str(session), str(session))
    assert made["properties"] == {"material_id": "12"}
    assert encoded(made, 10_000)


def test_the_learners_day_is_that_of_the_offset_they_were_told_in() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=2)))
    assert event(XP, timestamp=local)["timestamp"] == "2026-03-02T01:30:00+02:00"


@pytest.mark.parametrize(
    ("wrong", "pointer", "code"),
    [
        (event({"xp_amount": -1}), "/properties/xp_amount", "greater_than_equal"),
        (event({"xp_amount": "5"}), "/properties/xp_amount", "int_type"),
        (event({}), "/properties/xp_amount", "missing"),
        (event({"xp_amount": 5, "mail of ada@b.c": 1}), "/properties/?", "extra_forbidden"),
        (event(XP, user_id=None), "/user_id", "missing"),
        (event(XP, timestamp=datetime(2026, 1, 1)), "/timestamp", "timezone_aware"),
        (event(XP, timestamp="soon"), "/timestamp", "datetime_parsing"),
        (event(XP, session_id="null"), "/session_id", "placeholder_id"),
        (event(XP, user_id="undefined"), "/user_id", "placeholder_id"),
        (event(XP, timestamp="2026-01-01T00:00:00+23:59"), "/timestamp", "datetime_parsing"),
        (event(XP, event_type="party"), "", "union_tag_invalid"),
        (event({"xp_amount": {5}}), "", "not_json"),
        (event({"xp_amount": float("nan")}), "", "not_json"),
        (event({"xp_amount": 5, "source": "\ud800"}), "", "not_json"),
        (event({"xp_amount": 5, "source": "x" * 200}), "", "event_too_large"),
    ],
)
def test_what_ingest_would_refuse_is_refused_here_without_its_values(
    wrong: dict[str, Any], pointer: str, code: str
) -> None:
    with pytest.raises(InvalidEvent) as raised:
        encoded(wrong, 300)
    assert (raised.value.pointer, raised.value.code) == (pointer, code)
    assert "ada" not in str(raised.value)
    assert raised.value.__context__ is None or raised.value.__suppress_context__
