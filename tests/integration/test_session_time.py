"""The time of a session depends only on its events, not on their order and batches."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.entry import encode, pack
from storage.answers.aggregates import Answers, LearnerRecord
from storage.batches import rebuild, verify
from storage.batches.batch import ReceivedEvent
from storage.batches.rollups import ROLLUPS, SESSION_RESOLUTION
from storage.batches.writer import BatchWriter
from storage.database.pool import open_pool
from storage.retention import partitions
from storage.retention import removal as retention
from storage.retention.partition_weeks import GRACE
from tests.support.events import NOW, event, learner

TODAY = NOW.date()
MONTH = timedelta(days=30)
QUARTER = timedelta(days=90)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
SESSION = UUID(int=7)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(database_url, size=2, application_name="tests")
    yield pool
    await pool.close()


def seen(event_type: str, ago: timedelta, number: int, duration: float | None = None) -> AcceptedEvent:
    """Return an event of the session at this age."""
    facts = {} if duration is None else {"duration_seconds": duration}
    return event(
        event_type, facts, number=number, occurred_at=NOW - ago, session_id=SESSION, activity_date=date(2026, 1, 1)
    )


async def store(pool: asyncpg.Pool, events: Sequence[AcceptedEvent], first: int = 1) -> None:
    entries = [ReceivedEvent(f"{number}-0", pack(encode(one))) for number, one in enumerate(events, first)]
    await BatchWriter(pool, 0).write(0, entries, [])


async def record(pool: asyncpg.Pool, session_timeout: timedelta = 30 * MINUTE) -> LearnerRecord:
    days = TODAY - date(2026, 1, 1) + timedelta(days=1)
    return await Answers(pool).learner([learner(0)], TODAY, days.days, NOW, session_timeout)


async def microseconds(pool: asyncpg.Pool, session_timeout: timedelta = 30 * MINUTE) -> int:
    """Return the total duration of the learner's sessions."""
    return sum(day.session_microseconds for day in (await record(pool, session_timeout)).days)


async def drift(pool: asyncpg.Pool) -> list[str]:
    async with pool.acquire() as connection:
        found = await verify.verify_aggregates(connection, NOW, MONTH)
    return [table.table for table in found if not table.is_clean]


def capped_gaps(times: Sequence[datetime], cap: timedelta) -> int:
    """Return the sum of the gaps in microseconds, each limited to the cap."""
    ordered = sorted(times)
    gaps = [min(after - before, cap) for before, after in pairwise(ordered)]
    return sum(gaps, timedelta(0)) // MICROSECOND


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    gaps=st.lists(
        # gaps of every size, and gaps within a microsecond of the resolution and the caps
        st.integers(0, 4 * 3_600_000_000)
        | st.builds(
            lambda minutes, more: minutes * 60_000_000 + more, st.sampled_from([5, 6, 30, 45]), st.integers(-1, 1)
        ),
        max_size=12,
    ),
    order=st.randoms(use_true_random=False),
    caps=st.lists(st.integers(5, 120), min_size=1, max_size=3),
)
async def test_a_session_lasts_the_sum_of_its_gaps_each_up_to_the_timeout(
    pool: asyncpg.Pool, gaps: list[int], order: random.Random, caps: list[int]
) -> None:
    await pool.execute(f"TRUNCATE analytics_events, settled_entries, {', '.join(rollup.table for rollup in ROLLUPS)}")
    ago = [sum(gaps[:number]) for number in range(len(gaps) + 1)]
    events = [seen("search_query", one * MICROSECOND, number) for number, one in enumerate(ago)]
    waiting = events + order.sample(events, len(events) // 2)
    order.shuffle(waiting)
    first = 1
    while waiting:
        size = order.randint(1, 4)
        await store(pool, waiting[:size], first)
        waiting, first = waiting[size:], first + size
    for minutes in caps:
        expected = capped_gaps([one.occurred_at for one in events], minutes * MINUTE)
        assert await microseconds(pool, minutes * MINUTE) == expected
    assert await drift(pool) == []


async def test_a_session_that_is_left_open_over_night_does_not_count_the_night(pool: asyncpg.Pool) -> None:
    await store(pool, [seen("session_start", timedelta(hours=10), 1), seen("material_view", timedelta(0), 2)])
    assert await microseconds(pool) == 30 * MINUTE // MICROSECOND


async def test_what_retention_removed_still_counts_in_the_time_of_a_session(pool: asyncpg.Pool) -> None:
    ago = [timedelta(days=20), timedelta(days=20) - 10 * MINUTE, timedelta(days=1), timedelta(days=1) - 3 * MINUTE]
    events = [seen("search_query", one, number) for number, one in enumerate(ago)]
    await store(pool, events)
    expected = capped_gaps([one.occurred_at for one in events], 30 * MINUTE)
    later = NOW + QUARTER - timedelta(days=10) + GRACE + timedelta(days=7)
    await partitions.ensure_partitions(pool, later, QUARTER)
    assert await retention.drop_expired(pool, later, QUARTER) in (2, 3)
    assert await drift(pool) == []
    await pool.execute("DELETE FROM learning_sessions")
    async with pool.acquire() as connection:
        await rebuild.rebuild_aggregates(connection, NOW, MONTH)
    assert await microseconds(pool) == expected


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
async def test_the_latest_end_with_a_duration_determines_the_length_of_the_session(
    pool: asyncpg.Pool, order: Sequence[int]
) -> None:
    events = [
        seen("session_start", 60 * MINUTE, 1),
        seen("session_end", 50 * MINUTE, 2, 3_600),
        # the latest event with a duration; at equal times, the one with the higher id
        seen("session_end", 40 * MINUTE, 3, 12.000_001),
        seen("session_end", 30 * MINUTE, 4),
    ]
    for position, number in enumerate(order):
        await store(pool, [events[number]], position + 1)
    assert await microseconds(pool) == 12_000_001
    tie = seen("session_end", 40 * MINUTE, 99, 7)
    assert tie.event_id > events[2].event_id
    await store(pool, [tie], 50)
    assert await microseconds(pool) == 7_000_000
    assert await drift(pool) == []


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.000_001, 1), (0.1, 100_000), (1 / 3, 333_333), (86_400, 86_400_000_000), (90_000, 86_400_000_000)],
)
async def test_a_reported_duration_counts_to_the_microsecond_and_up_to_a_day(
    pool: asyncpg.Pool, seconds: float, expected: int
) -> None:
    await store(pool, [seen("session_start", 5 * MINUTE, 1), seen("session_end", timedelta(0), 2, seconds)])
    assert await microseconds(pool) == expected


async def test_an_end_without_a_duration_closes_and_the_gaps_count(pool: asyncpg.Pool) -> None:
    await store(pool, [seen("session_start", 20 * MINUTE, 1)])
    [day] = [day for day in (await record(pool)).days if day.sessions]
    assert day.open_sessions == 1
    await store(pool, [seen("session_end", 8 * MINUTE, 2)], 10)
    [day] = [day for day in (await record(pool)).days if day.sessions]
    assert (day.sessions, day.open_sessions, day.session_microseconds) == (1, 0, 12 * MINUTE // MICROSECOND)


async def test_without_a_session_id_a_start_opens_a_session_and_nothing_else_belongs_to_one(pool: asyncpg.Pool) -> None:
    start = seen("session_start", 20 * MINUTE, 1)._replace(session_id=None)
    end = seen("session_end", 5 * MINUTE, 2, 600)._replace(session_id=None)
    view = event("material_view", {"material_id": "m"}, number=3, activity_date=start.activity_date)
    await store(pool, [start, end, view])
    rows = await pool.fetch("SELECT session_id, event_count, ended_at FROM learning_sessions")
    assert [tuple(row) for row in rows] == [(start.event_id, 1, None)]
    assert await microseconds(pool) == 0
    # events that name this session continue it
    await store(pool, [seen("session_end", 10 * MINUTE, 4)._replace(session_id=start.event_id)], 10)
    assert await microseconds(pool) == 10 * MINUTE // MICROSECOND


async def test_one_event_is_stored_as_one_range_of_the_resolution(pool: asyncpg.Pool) -> None:
    await store(pool, [seen("session_start", timedelta(0), 1)])
    [stretch] = await pool.fetchval("SELECT activity FROM learning_sessions")
    assert (stretch.lower, stretch.upper) == (NOW, NOW + SESSION_RESOLUTION)


async def test_rows_of_the_release_before_are_answered_as_then_until_a_rebuild_mends_them(pool: asyncpg.Pool) -> None:
    late = seen("search_query", timedelta(0), 3)
    await store(pool, [seen("session_start", timedelta(hours=3), 1), seen("search_query", timedelta(hours=2), 2)])
    # as a worker of the previous release leaves it
    await pool.execute("UPDATE learning_sessions SET activity = '{}'")
    assert await microseconds(pool) == 3_600_000_000
    await store(pool, [late], 10)
    assert await microseconds(pool) == 3 * 3_600_000_000
    assert await drift(pool) == ["learning_sessions"]
    async with pool.acquire() as connection:
        await rebuild.rebuild_aggregates(connection, NOW, MONTH)
    assert await microseconds(pool) == 2 * 30 * MINUTE // MICROSECOND


def test_the_session_timeout_is_no_shorter_than_what_is_known_of_a_gap() -> None:
    least = SESSION_RESOLUTION // MINUTE
    assert Settings.model_validate({"session_timeout_minutes": least}).session_timeout_minutes == least
    with pytest.raises(ValueError, match="session_timeout_minutes"):
        Settings.model_validate({"session_timeout_minutes": least - 1})


async def test_xp_of_an_achievement_counts_like_any_other(pool: asyncpg.Pool) -> None:
    await store(
        pool,
        [
            event("xp_earned", {"xp_amount": 5}, number=1),
            event("achievement_earned", {"achievement_id": "a", "xp_reward": 20}, number=2),
            event("session_end", {"xp_earned": 400}, number=3),
        ],
    )
    found = await record(pool)
    assert (found.total_xp, sum(day.xp_earned for day in found.days)) == (25, 25)


async def test_of_two_events_with_one_id_the_one_that_was_stored_first_counts(pool: asyncpg.Pool) -> None:
    few, many = (event("xp_earned", {"xp_amount": amount}, number=1) for amount in (5, 500))
    await store(pool, [few, many])
    await store(pool, [many], 10)
    assert (await record(pool)).total_xp == 5
    assert json.loads(await pool.fetchval("SELECT properties FROM analytics_events")) == {"xp_amount": 5}


async def test_views_count_each_time_and_their_material_once(pool: asyncpg.Pool) -> None:
    facts = [("material_view", "a"), ("material_view", "a"), ("material_view", "b"), ("material_complete", "a")]
    await store(
        pool, [event(kind, {"material_id": material}, number=number) for number, (kind, material) in enumerate(facts)]
    )
    found = await record(pool)
    assert len(found.days) == 1
    assert (found.counts["materials_viewed"], found.counts["materials_completed"]) == (3, 1)
    assert (found.distinct_materials_viewed, found.distinct_materials_completed) == (2, 1)
