"""The example's mapper: every row becomes what the README says, the same bytes every time."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from examples.epm.to_events import Event, Row, events, read_rows, shift_of, write
from schemas.events import EVENT
from schemas.identifiers import canonical_event_id, milliseconds_of, time_of

DATA = Path(__file__).parents[2] / "examples" / "epm" / "epm-labs-1-3.csv.gz"
UNTIL = datetime(2026, 11, 24, 12, 0)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return read_rows(DATA)


@pytest.fixture(scope="module")
def mapped(rows: list[Row]) -> list[Event]:
    return list(events(rows, shift_of(rows, UNTIL)))


def test_every_row_is_a_view_and_every_visit_a_session(rows: list[Row], mapped: list[Event]) -> None:
    kinds = Counter(event["event_type"] for event in mapped)
    visits = {(row["student_id"], row["session"]) for row in rows}
    exercises = {(row["student_id"], row["session"], row["exercise"]) for row in rows if row["exercise"] != "Es"}
    assert kinds == {
        "material_view": 102_970,
        "session_start": len(visits),
        "session_end": len(visits),
        "material_complete": len(exercises),
        "xp_earned": len(exercises),
    }
    assert len({event["session_id"] for event in mapped}) == len(visits)


def test_every_event_is_valid_and_has_an_id_of_its_own_that_tells_its_time(mapped: list[Event]) -> None:
    ids = set()
    for event in mapped:
        parsed = EVENT.validate_json(json.dumps(event))
        key = canonical_event_id(event["event_id"], "tests")
        assert key == UUID(event["event_id"])
        assert parsed.timestamp is not None
        assert time_of(milliseconds_of(str(key))) == parsed.timestamp
        ids.add(key)
    assert len(ids) == len(mapped)


@pytest.mark.parametrize("days", range(0, 21, 3))
def test_the_last_event_lies_within_the_last_week_at_its_own_weekday_and_hour(rows: list[Row], days: int) -> None:
    until = UNTIL + timedelta(days=days)
    last = max(datetime.fromisoformat(row["end_time"]) for row in rows)
    shifted = last + shift_of(rows, until)
    assert until - timedelta(weeks=1) < shifted <= until
    assert (shifted.weekday(), shifted.time()) == (last.weekday(), last.time())


def test_the_same_data_gives_the_same_bytes(tmp_path: Path, rows: list[Row]) -> None:
    few = rows[:500]
    for name in ("one", "two"):
        write(tmp_path / name, events(few, shift_of(rows, UNTIL)))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
