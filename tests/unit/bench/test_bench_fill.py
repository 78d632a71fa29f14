from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from bench.fill import LEARNERS, Base, base_of, copies, known_learners, slices
from schemas.accepted import AcceptedEvent

NOON = datetime(2026, 8, 3, 12, tzinfo=UTC)


def _event(number: int, minute: int, learner: bytes | None) -> AcceptedEvent:
    moment = NOON + timedelta(minutes=minute)
    return AcceptedEvent(
        UUID(int=number), "search_query", learner, None, moment, moment, date(2026, 8, 3), 1, "test", "{}"
    )


def _base(*numbers: int | None) -> Base:
    return Base([_event(place, place, None) for place in range(len(numbers))], numbers)


def test_a_base_has_each_event_once_by_its_time() -> None:
    late, early = _event(1, 5, b"a"), _event(2, 3, b"b")

    assert base_of([late, early, late]).events == [early, late]


def test_learners_of_a_base_are_numbered_without_a_gap_and_nobody_has_no_number() -> None:
    base = base_of([_event(1, 1, b"a"), _event(2, 2, None), _event(3, 3, b"b"), _event(4, 4, b"a")])

    assert base.numbers == [0, None, 1, 0]
    assert base.learners == 2
    assert base_of([_event(1, 1, None)]).learners == 0


@pytest.mark.parametrize(("events", "base"), [(0, 7), (3, 7), (7, 7), (20, 7), (21, 7), (1_000_000, 95_031)])
def test_the_copies_of_all_events_are_as_many_as_wanted(events: int, base: int) -> None:
    each = copies(events, base)

    # as the statement numbers them: from 0 to the last one, or to the one before
    assert sum(each.last + 1 if number < each.more else each.last for number in range(base)) == events


@pytest.mark.parametrize(("base", "events"), [(1, 1), (95_031, 20_000), (95_031, 95_031), (95_031, 10_000_000)])
def test_slices_cover_a_base_once_in_order(base: int, events: int) -> None:
    found = slices(base, events)

    assert [start for start, _ in found] == [0, *(end for _, end in found[:-1])]
    assert found[-1][1] == base
    assert max((end - start) * events / base for start, end in found) <= 50_000


def test_a_statement_inserts_many_events_also_when_there_are_many_copies() -> None:
    assert len(slices(95_031, 10_000_000)) < 300


def test_learners_of_part_of_a_base_are_those_of_its_first_events() -> None:
    assert known_learners(_base(0, None, 1, 0, 2), 4) == ["demo-user-1", "demo-user-2"]


def test_each_whole_copy_has_learners_of_its_own() -> None:
    assert known_learners(_base(0, None, 1, 0), 9) == [f"demo-user-{number}" for number in (1, 2, 3, 4)]


def test_there_are_never_more_learners_than_there_are() -> None:
    assert len(known_learners(_base(0), LEARNERS + 5)) == LEARNERS
