"""The statements of storage.answers against rows whose answers were worked out by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from runtime.errors import StorageUnavailable
from storage.answers import Answers, EarnedAchievement, EndpointTotals, LearnerDay, LearnerRecord, StepTotals
from storage.migrate import head_revision
from storage.pool import open_pool
from tests.support.aggregates import Aggregates

ANNA, ANNA_OLD_KEY, BEN = b"a" * 32, b"o" * 32, b"b" * 32
MONDAY = date(2026, 11, 16)
TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with await open_pool(database_url, size=2, application_name="test", read_only=True) as pool:
        yield pool


@pytest.fixture
def answers(pool: asyncpg.Pool) -> Answers:
    return Answers(pool)


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Aggregates]:
    connection = await asyncpg.connect(database_url)
    yield Aggregates(connection)
    await connection.close()


async def anna(answers: Answers, *, first: date = MONDAY, last: date = WEDNESDAY) -> LearnerRecord:
    return await answers.learner([ANNA, ANNA_OLD_KEY], first, last, NOON - 30 * MINUTE)


async def test_an_unknown_learner_has_an_empty_record(answers: Answers) -> None:
    assert await anna(answers) == LearnerRecord([], [], [], 0, None, None)


async def test_only_days_of_the_window_are_given_but_every_active_date(answers: Answers, tables: Aggregates) -> None:
    for offset in (-1, 0, 2, 3):
        await tables.day(ANNA, MONDAY + timedelta(days=offset), count=offset + 2, viewed=1, completed=2, xp=10)
    await tables.day(BEN, MONDAY, count=100, xp=100)
    record = await anna(answers)
    assert record.days == [
        LearnerDay(MONDAY, 2, 1, 2, 10, 0, 0, 0),
        LearnerDay(WEDNESDAY, 4, 1, 2, 10, 0, 0, 0),
    ]
    assert record.active_dates == [MONDAY + timedelta(days=offset) for offset in (-1, 0, 2, 3)]


async def test_a_day_without_activity_is_not_active(answers: Answers, tables: Aggregates) -> None:
    await tables.day(ANNA, MONDAY, count=0)
    assert (await anna(answers)).active_dates == []


async def test_a_session_lasts_as_reported_else_from_first_to_last_event(answers: Answers, tables: Aggregates) -> None:
    await tables.session(ANNA, MONDAY, NOON, NOON + 10 * MINUTE, ended_at=NOON, reported_ms=90_500)
    await tables.session(ANNA, MONDAY, NOON, NOON + 10 * MINUTE + timedelta(microseconds=1), ended_at=NOON)
    await tables.session(ANNA, TUESDAY, NOON, NOON + timedelta(days=40), ended_at=NOON)
    record = await anna(answers)
    assert record.days == [
        LearnerDay(MONDAY, 0, 0, 0, 0, 2, 0, 690_500_001),
        LearnerDay(TUESDAY, 0, 0, 0, 0, 1, 0, 40 * 86_400_000_000),
    ]


async def test_a_session_belongs_to_the_day_of_its_start(answers: Answers, tables: Aggregates) -> None:
    await tables.session(ANNA, MONDAY - timedelta(days=1), NOON, NOON + MINUTE)
    await tables.session(ANNA, WEDNESDAY, NOON, NOON + MINUTE)
    await tables.session(ANNA, WEDNESDAY + timedelta(days=1), NOON, NOON + MINUTE)
    record = await anna(answers)
    assert [(day.activity_date, day.sessions) for day in record.days] == [(WEDNESDAY, 1)]


async def test_a_session_is_open_until_it_ends_or_falls_silent(answers: Answers, tables: Aggregates) -> None:
    limit = NOON - 30 * MINUTE
    await tables.session(ANNA, TUESDAY, limit - MINUTE, limit)
    await tables.session(ANNA, TUESDAY, limit - MINUTE, limit - timedelta(microseconds=1))
    await tables.session(ANNA, TUESDAY, limit - MINUTE, NOON, ended_at=NOON)
    [tuesday] = (await anna(answers)).days
    assert (tuesday.sessions, tuesday.open_sessions) == (3, 1)


async def test_what_a_key_rotation_split_is_one_learner_again(answers: Answers, tables: Aggregates) -> None:
    session = uuid4()
    await tables.session(ANNA_OLD_KEY, MONDAY, NOON, NOON + MINUTE, session_id=session)
    await tables.session(ANNA, TUESDAY, NOON + MINUTE, NOON + 5 * MINUTE, session_id=session, ended_at=NOON)
    await tables.day(ANNA_OLD_KEY, MONDAY, count=1, xp=5)
    await tables.day(ANNA, MONDAY, count=2, xp=7)
    await tables.stats(ANNA_OLD_KEY, xp=5, level=9, streak=3, streak_at=NOON)
    await tables.stats(ANNA, xp=7, level=4, streak=8, streak_at=NOON + MINUTE)
    await tables.achievement(ANNA_OLD_KEY, "first", NOON, name="First")
    await tables.achievement(ANNA, "first", NOON + MINUTE, name="Again")
    record = await anna(answers)
    assert record.days == [LearnerDay(MONDAY, 3, 0, 0, 12, 1, 0, 5 * 60_000_000)]
    assert record.active_dates == [MONDAY]
    assert (record.total_xp, record.highest_level, record.reported_streak_days) == (12, 9, 8)
    assert record.achievements == [EarnedAchievement("first", "First", NOON, TUESDAY)]
    # the session began the day before the window, under the old key
    assert (await anna(answers, first=TUESDAY)).days == []


async def test_achievements_come_newest_first(answers: Answers, tables: Aggregates) -> None:
    await tables.achievement(ANNA, "b", NOON)
    await tables.achievement(ANNA, "a", NOON)
    await tables.achievement(ANNA, "c", NOON + MINUTE, name="See")
    await tables.achievement(BEN, "d", NOON)
    assert [(a.achievement_id, a.name) for a in (await anna(answers)).achievements] == [
        ("c", "See"),
        ("a", None),
        ("b", None),
    ]


async def test_the_platform_at_rest_has_an_empty_record(answers: Answers) -> None:
    record = await answers.system(NOON, NOON + 60 * MINUTE, 5 * MINUTE, 10)
    assert (record.latencies, record.endpoints, record.endpoint_latencies, record.steps, record.errors) == (
        {},
        [],
        {},
        [],
        {},
    )
    assert record.active_users == 0


async def test_requests_are_summed_over_slots_by_endpoint_latency_and_step(
    answers: Answers, tables: Aggregates
) -> None:
    end = NOON + 60 * MINUTE
    await tables.requests(NOON - 5 * MINUTE, "/before", 100, 1_000)
    await tables.requests(NOON, "/a", 200, 3, server_errors=1)
    await tables.requests(NOON, "/a", 200, 4, server_errors=2, slot=1)
    await tables.requests(NOON + 5 * MINUTE, "/a", -7, 5)
    await tables.requests(NOON + 5 * MINUTE, "/b", 200, 12, server_errors=12)
    await tables.requests(end, "/c", 300, 1)
    await tables.requests(end + 5 * MINUTE, "/after", 100, 1_000)
    record = await answers.system(NOON, end, 5 * MINUTE, 2)
    assert record.latencies == {200: 19, -7: 5, 300: 1}
    assert record.endpoints == [EndpointTotals("/a", 12, 3), EndpointTotals("/b", 12, 12)]
    assert record.endpoint_latencies == {"/a": {200: 7, -7: 5}, "/b": {200: 12}}
    assert record.steps == [StepTotals(NOON, 7, 3), StepTotals(NOON + 5 * MINUTE, 17, 12), StepTotals(end, 1, 0)]


async def test_steps_are_counted_from_the_start_of_the_window(answers: Answers, tables: Aggregates) -> None:
    start = NOON + 35 * MINUTE
    for minutes in (0, 55, 60):
        await tables.requests(start + minutes * MINUTE, "/a", 100, 1)
    record = await answers.system(start, start + 90 * MINUTE, 60 * MINUTE, 10)
    assert record.steps == [StepTotals(start, 2, 0), StepTotals(start + 60 * MINUTE, 1, 0)]


async def test_errors_are_counted_by_type_most_frequent_first(answers: Answers, tables: Aggregates) -> None:
    end = NOON + 60 * MINUTE
    await tables.errors(NOON, "timeout", 2)
    await tables.errors(NOON, "timeout", 3, slot=1)
    await tables.errors(end, "refused", 9)
    await tables.errors(NOON, "crash", 5)
    await tables.errors(NOON - 5 * MINUTE, "before", 1)
    await tables.errors(end + 5 * MINUTE, "after", 1)
    record = await answers.system(NOON, end, 5 * MINUTE, 10)
    assert list(record.errors.items()) == [("refused", 9), ("crash", 5), ("timeout", 5)]


async def test_a_user_is_active_with_an_event_inside_the_window(answers: Answers, tables: Aggregates) -> None:
    start, end = NOON + 20 * MINUTE, NOON + 85 * MINUTE
    just = timedelta(microseconds=1)
    inside = {
        b"1": [(start, start)],
        b"2": [(NOON, start)],
        b"3": [(end, end + 30 * MINUTE)],
        b"4": [(start, start), (NOON + 61 * MINUTE, NOON + 62 * MINUTE)],
    }
    outside = {
        b"5": [(NOON, start - just)],
        b"6": [(end + just, end + MINUTE)],
        b"7": [(NOON - 60 * MINUTE, NOON - MINUTE)],
    }
    for user, spans in (inside | outside).items():
        for first, last in spans:
            await tables.active(user * 32, first, last)
    record = await answers.system(start, end, 5 * MINUTE, 10)
    assert record.active_users == len(inside)


async def test_the_revision_of_the_schema_is_told(answers: Answers) -> None:
    assert await answers.revision() == head_revision()


async def test_a_pool_of_answers_cannot_write(pool: asyncpg.Pool) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await pool.execute("INSERT INTO erased_users (user_hash) VALUES ($1)", ANNA)


async def test_a_pool_for_the_same_statements_plans_each_once_and_cleans_up_after_none(database_url: str) -> None:
    async with await open_pool(
        database_url, size=1, application_name="test", read_only=True, same_statements=True
    ) as pool:
        for _ in range(20):
            assert await anna(Answers(pool)) == LearnerRecord([], [], [], 0, None, None)
        [learner] = await pool.fetch(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '-- One learner%'"
        )
        assert tuple(learner) == (20, 0)
        last = "SELECT query FROM pg_stat_activity WHERE pid = $1"
        own = await pool.fetchval("SELECT pg_backend_pid()")
        watcher = await asyncpg.connect(database_url)
        assert await watcher.fetchval(last, own) == "SELECT pg_backend_pid()"
        await watcher.close()


async def test_a_database_without_tables_is_unavailable_not_a_defect(empty_database_url: str) -> None:
    async with await open_pool(empty_database_url, size=1, application_name="test", read_only=True) as pool:
        with pytest.raises(StorageUnavailable):
            await anna(Answers(pool))


async def test_many_pseudonyms_and_dates_far_away_are_no_problem(answers: Answers) -> None:
    record = await answers.learner([bytes([n]) * 32 for n in range(200)], date(1900, 1, 1), date(2999, 1, 1), NOON)
    assert record.days == []
