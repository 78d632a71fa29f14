"""The event that a call becomes before it is sent. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
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
XP: dict[str, Any] = {"xp_amount": 5}


def event(properties: Any, event_type: Any = "xp_earned", **said: Any) -> dict[str, Any]:
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
    assert canonical_event_id(str(made), "tests") == made


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


class Name(str, Enum):  # noqa: UP042 - what services of Python 3.10 have
    ADA = "ada-1"


def test_an_id_that_is_a_str_of_another_class_is_its_text() -> None:
    assert event(XP, user_id=Name.ADA)["user_id"] == "ada-1"


@pytest.mark.parametrize("wrong", [b"x", True, 3.5, ["u"], {"id": 1}, object()], ids=lambda wrong: type(wrong).__name__)
@pytest.mark.parametrize("argument", ["user_id", "session_id", "event_id", "material_id"])
def test_what_is_no_id_is_refused_by_the_name_of_the_argument(argument: str, wrong: object) -> None:
    properties, said = ({argument: wrong}, {}) if argument == "material_id" else (XP, {argument: wrong})
    with pytest.raises(InvalidEvent, match=f"{argument}: invalid_type: an id is str, int or UUID"):
        event(properties, "material_view", **said)


@pytest.mark.parametrize(
    ("call", "pointer"),
    [
        (lambda: event(XP, timestamp=5), "/timestamp"),
        (lambda: event(XP, timestamp=NOW.date()), "/timestamp"),
        (lambda: event(XP, event_type=b"xp_earned"), "/event_type"),
        (lambda: event([1]), "/properties"),
        (lambda: event({1: 2}), "/properties"),
    ],
)
def test_an_argument_of_a_wrong_type_is_named(call: Callable[[], object], pointer: str) -> None:
    with pytest.raises(InvalidEvent) as raised:
        call()
    assert (raised.value.pointer, raised.value.code) == (pointer, "invalid_type")


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
        (event(XP, event_type="party"), "/event_type", "union_tag_invalid"),
        (event({"xp_amount": {5}}), "/properties/xp_amount", "not_json"),
        (event({"xp_amount": float("nan")}), "/properties/xp_amount", "not_json"),
        (event({"xp_amount": 5, "source": "\ud800"}), "/properties/source", "not_json"),
        (event(XP, user_id="\ud800"), "/user_id", "not_json"),
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
