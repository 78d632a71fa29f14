"""A cursor survives a round trip and belongs to its own search only."""

from __future__ import annotations

import dataclasses
import string
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.answers.event_cursor import cursor_of, parse_cursor
from storage.answers.event_search import EventPosition, EventSearch

NOW = datetime(2026, 11, 18, 12, 34, 56, 789, tzinfo=UTC)
ANNA, FORMER, BEN = b"a" * 32, b"o" * 32, b"b" * 32
SEARCH = EventSearch(NOW - timedelta(days=1), NOW, ("xp_earned", "level_up"), (ANNA, FORMER), UUID(int=7))
POSITION = EventPosition(NOW - timedelta(hours=1), UUID("019f0000-0000-7000-8000-000000000001"))

moments = st.datetimes(timezones=st.just(UTC))


@given(moments, moments, moments, st.uuids())
def test_a_cursor_comes_back_as_it_was_made(
    since: datetime, until: datetime, occurred_at: datetime, event_id: UUID
) -> None:
    search = EventSearch(since, until)
    cursor = cursor_of(search, EventPosition(occurred_at, event_id))
    assert parse_cursor(str(cursor)) == cursor
    assert cursor.belongs_to(search)


def test_a_cursor_can_stand_in_a_url_and_names_nobody() -> None:
    text = str(cursor_of(SEARCH, POSITION))
    assert len(text) == 64
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")


@pytest.mark.parametrize(
    "change",
    [
        {"since": SEARCH.since - timedelta(microseconds=1)},
        {"until": SEARCH.until + timedelta(microseconds=1)},
        {"types": ("xp_earned",)},
        {"types": None},
        {"user_hashes": (BEN,)},
        {"user_hashes": None},
        {"session_id": UUID(int=8)},
        {"session_id": None},
    ],
)
def test_a_cursor_of_another_search_is_detected(change: dict[str, Any]) -> None:
    cursor = parse_cursor(str(cursor_of(SEARCH, POSITION)))
    assert not cursor.belongs_to(dataclasses.replace(SEARCH, **change))


def test_the_order_of_types_and_names_of_former_keys_do_not_matter() -> None:
    same = dataclasses.replace(SEARCH, types=("level_up", "xp_earned"), user_hashes=(ANNA,))
    assert cursor_of(SEARCH, POSITION).belongs_to(same)


@given(st.integers(0, 63), st.sampled_from(string.ascii_letters + string.digits + "-_"))
def test_a_damaged_cursor_is_detected(at: int, letter: str) -> None:
    whole = str(cursor_of(SEARCH, POSITION))
    damaged = whole[:at] + letter + whole[at + 1 :]
    try:
        cursor = parse_cursor(damaged)
    except ValueError:
        return
    assert cursor.belongs_to(SEARCH) == (damaged == whole)


@pytest.mark.parametrize("text", ["", "x", "é" * 64, "A" * 63, "A" * 68, "+" * 64, "=" * 64, "f" * 64, "\x00" * 64])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        parse_cursor(text)
