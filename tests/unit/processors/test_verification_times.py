"""When the nightly verification is due, and what it compares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from processors.maintenance.verification import due_since
from storage.batches.rollups import ROLLUPS
from storage.batches.verify_parts import SHARES, Verified, day_part, due_parts, learners_part

NIGHT = datetime(2026, 5, 14, 3, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = (NIGHT - 10 * DAY).date()
OPEN = ["day 2026-05-12", "day 2026-05-13", "day 2026-05-14"]


@pytest.mark.parametrize(
    ("last", "now", "hour", "expected"),
    [
        (NIGHT - DAY, NIGHT + HOUR / 6, 3, NIGHT),
        (NIGHT - DAY + HOUR, NIGHT - HOUR, 3, None),
        (NIGHT + HOUR, NIGHT + 20 * HOUR, 3, None),
        (NIGHT - 3 * DAY, NIGHT + 20 * HOUR, 3, NIGHT),
        (NIGHT - 3 * DAY, NIGHT - HOUR, 3, NIGHT - DAY),
        (None, NIGHT + HOUR / 2, 3, NIGHT),
        (None, NIGHT + 9 * HOUR, 3, None),
        (NIGHT - 9 * DAY, NIGHT, -1, None),
        (None, NIGHT.replace(hour=0), 0, NIGHT.replace(hour=0)),
    ],
)
def test_it_is_due_once_a_night(last: datetime | None, now: datetime, hour: int, expected: datetime | None) -> None:
    assert due_since(last, now, hour) == expected


def test_a_first_one_that_was_interrupted_is_due_until_it_has_succeeded() -> None:
    assert due_since(None, NIGHT + 9 * HOUR, 3, begun=True) == NIGHT
    assert due_since(None, NIGHT + 9 * HOUR, -1, begun=True) is None


def names(verified: dict[str, Verified], since: datetime = NIGHT) -> list[str]:
    return [part.name for part in due_parts(verified, FIRST, NIGHT.date(), since)]


def everything(at: datetime) -> dict[str, Verified]:
    parts = [day_part(FIRST + number * DAY) for number in range(11)] + [learners_part(one) for one in range(SHARES)]
    return {part.name: Verified(at + number * HOUR / 100, 0) for number, part in enumerate(parts)}


def test_the_first_night_compares_every_day_and_a_share_of_the_learners() -> None:
    assert names({}) == [*(f"day {FIRST + number * DAY}" for number in range(11)), "learners 00"]


def test_later_nights_compare_the_last_days_and_what_was_compared_longest_ago() -> None:
    verified = everything(NIGHT - DAY)
    verified["learners 07"] = verified["day 2026-05-09"] = Verified(NIGHT - 9 * DAY, 0)
    assert names(verified) == ["day 2026-05-09", *OPEN, "learners 07"]


def test_a_part_that_differed_is_compared_until_it_does_not() -> None:
    verified = everything(NIGHT - DAY)
    verified["day 2026-05-08"] = Verified(NIGHT - DAY, 3)
    verified["learners 09"] = Verified(NIGHT - HOUR, 1)
    assert names(verified) == [f"day {FIRST}", "day 2026-05-08", *OPEN, "learners 00", "learners 09"]


def test_a_run_that_was_interrupted_compares_what_is_left() -> None:
    verified = everything(NIGHT - DAY)
    verified[f"day {FIRST}"] = verified["day 2026-05-12"] = Verified(NIGHT + HOUR, 0)
    assert names(verified) == ["day 2026-05-13", "day 2026-05-14", "learners 00"]
    verified |= dict.fromkeys([*OPEN, "learners 00"], Verified(NIGHT + HOUR, 0))
    assert names(verified) == []


def test_every_closed_day_is_compared_again_within_as_many_nights_as_there_are_shares() -> None:
    first, verified = (NIGHT - 100 * DAY).date(), everything(NIGHT - DAY)
    verified |= {day_part(first + number * DAY).name: Verified(NIGHT - DAY, 0) for number in range(101)}
    for night in range(SHARES):
        since = NIGHT + night * DAY
        due = due_parts(verified, first + night * DAY, since.date(), since)
        assert len(due) == 4 + 3 + 1
        verified |= {part.name: Verified(since + HOUR, 0) for part in due}
    left = first + (SHARES - 1) * DAY
    assert [name for name, last in verified.items() if name >= f"day {left}" and last.at < NIGHT] == []


def test_each_table_is_in_days_or_in_shares_of_learners() -> None:
    of_days, of_learners = day_part(FIRST).rollups, learners_part(0).rollups
    assert sorted([*of_days, *of_learners], key=ROLLUPS.index) == list(ROLLUPS)
