"""The statements of storage.answers.aggregates on rows whose answers were computed by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from asyncpg import Range

from runtime.errors import StorageUnavailable
from schemas.catalogue import COUNTERS
from storage.answers.aggregates import Answers, EarnedAchievement, EndpointTotals, LearnerDay, LearnerRecord, StepTotals
from storage.batches.rollups import SESSION_RESOLUTION
from storage.database.pool import open_pool
from storage.database.revision import head_revision
from tests.support.aggregates import Aggregates

ANNA, ANNA_OLD_KEY, BEN = b"a" * 32, b"o" * 32, b"b" * 32
MONDAY = date(2026, 11, 16)
TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY_US = 86_400_000_000


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


async def anna(
    answers: Answers, *, today: date = WEDNESDAY, days: int = 3, session_timeout: timedelta = 30 * MINUTE
) -> LearnerRecord:
    return await answers.learner([ANNA, ANNA_OLD_KEY], today, days, NOON, session_timeout)


def no_counts() -> dict[str, int]:
    return dict.fromkeys(COUNTERS, 0)


def nobody(reference_day: date) -> LearnerRecord:
    return LearnerRecord(
        reference_day=reference_day,
        days=[],
        counts=no_counts(),
        distinct_materials_viewed=0,
        distinct_materials_completed=0,
        active_dates=[],
        achievements=[],
        total_xp=0,
        highest_level=None,
        reported_streak_days=None,
    )


async def test_an_unknown_learner_has_an_empty_record(answers: Answers) -> None:
    assert await anna(answers) == nobody(WEDNESDAY)


async def test_only_days_of_the_window_are_given_but_every_active_date(answers: Answers, tables: Aggregates) -> None:
    for offset in (-2, -1, 0, 2):
        await tables.day(ANNA, MONDAY + timedelta(days=offset), count=offset + 2, viewed=1, completed=2, xp=10)
    await tables.day(ANNA, MONDAY + timedelta(days=-3))
    await tables.day(BEN, MONDAY, count=100, xp=100)
    record = await anna(answers)
    assert record.days == [
        LearnerDay(MONDAY, 2, 10, 0, 0, 0),
        LearnerDay(WEDNESDAY, 4, 10, 0, 0, 0),
    ]
    assert record.counts == no_counts() | {"materials_viewed": 2, "materials_completed": 4}
    assert record.active_dates == [MONDAY + timedelta(days=offset) for offset in (-3, -1, 0, 2)]


async def test_a_day_without_activity_is_not_active(answers: Answers, tables: Aggregates) -> None:
    await tables.day(ANNA, MONDAY, count=0)
    assert (await anna(answers)).active_dates == []


async def test_a_session_lasts_as_reported_to_the_microsecond(answers: Answers, tables: Aggregates) -> None:
    await tables.session(ANNA, MONDAY, NOON, NOON + 10 * MINUTE, ended_at=NOON, reported_us=90_500_001)
    assert (await anna(answers)).days == [LearnerDay(MONDAY, 0, 0, 1, 0, 90_500_001)]


async def test_a_reported_duration_counts_up_to_24_hours(answers: Answers, tables: Aggregates) -> None:
    await tables.session(ANNA, MONDAY, NOON, NOON + 5 * MINUTE, ended_at=NOON, reported_us=DAY_US)
    await tables.session(ANNA, TUESDAY, NOON, NOON + 5 * MINUTE, ended_at=NOON, reported_us=DAY_US + 1)
    assert [day.session_microseconds for day in (await anna(answers)).days] == [DAY_US, DAY_US]


async def test_a_row_of_the_release_before_lasts_as_it_did_then(answers: Answers, tables: Aggregates) -> None:
    await tables.session(ANNA, MONDAY, NOON, NOON + 10 * MINUTE, ended_at=NOON, reported_ms=90_500)
    await tables.session(ANNA, TUESDAY, NOON, NOON + 600 * MINUTE + timedelta(microseconds=1))
    record = await anna(answers)
    assert [day.session_microseconds for day in record.days] == [90_500_000, 36_000_000_001]


async def test_a_gap_in_a_session_counts_up_to_the_session_timeout(answers: Answers, tables: Aggregates) -> None:
    # events at 0, 10 and 50 minutes
    activity = [Range(NOON + minutes * MINUTE, NOON + minutes * MINUTE + SESSION_RESOLUTION) for minutes in (0, 10, 50)]
    await tables.session(ANNA, MONDAY, NOON, NOON + 50 * MINUTE, activity=activity)
    for timeout, minutes in ((5, 10), (10, 20), (30, 40), (39, 49), (40, 50), (41, 50)):
        record = await anna(answers, session_timeout=timeout * MINUTE)
        assert [day.session_microseconds for day in record.days] == [minutes * 60_000_000]


async def test_the_window_ends_on_the_last_activity_date_when_that_is_later_than_today(
    answers: Answers, tables: Aggregates
) -> None:
    await tables.day(ANNA, WEDNESDAY, xp=7)
    await tables.session(ANNA, WEDNESDAY, NOON, NOON, activity=[Range(NOON, NOON + SESSION_RESOLUTION)])
    await tables.day(ANNA, WEDNESDAY + timedelta(days=1), count=0)
    record = await anna(answers, today=MONDAY, days=1)
    assert record.reference_day == WEDNESDAY
    assert [(day.activity_date, day.xp_earned, day.sessions) for day in record.days] == [(WEDNESDAY, 7, 1)]
    assert (await anna(answers, today=WEDNESDAY + timedelta(days=1), days=1)).days == [
        LearnerDay(WEDNESDAY + timedelta(days=1), 0, 0, 0, 0, 0)
    ]


async def test_a_material_counts_once_when_it_was_last_used_in_the_window(answers: Answers, tables: Aggregates) -> None:
    before = MONDAY - timedelta(days=1)
    await tables.material(ANNA, "both", viewed_on=MONDAY, completed_on=WEDNESDAY)
    await tables.material(ANNA, "viewed", viewed_on=TUESDAY, completed_on=before)
    await tables.material(ANNA, "old", viewed_on=before)
    await tables.material(ANNA, "completed", completed_on=TUESDAY)
    # under two keys
    await tables.material(ANNA_OLD_KEY, "both", viewed_on=WEDNESDAY)
    await tables.material(ANNA_OLD_KEY, "old", viewed_on=before)
    await tables.material(BEN, "other", viewed_on=MONDAY, completed_on=MONDAY)
    record = await anna(answers)
    assert (record.distinct_materials_viewed, record.distinct_materials_completed) == (2, 2)
    longer = await anna(answers, days=4)
    assert (longer.distinct_materials_viewed, longer.distinct_materials_completed) == (3, 3)


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
    assert record.days == [LearnerDay(MONDAY, 3, 12, 1, 0, 5 * 60_000_000)]
    assert record.active_dates == [MONDAY]
    assert (record.total_xp, record.highest_level, record.reported_streak_days) == (12, 9, 8)
    assert record.achievements == [EarnedAchievement("first", "First", NOON, TUESDAY)]
    # the session began the day before the window, under the old key
    assert (await anna(answers, days=2)).days == []


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
    await tables.requests(end - 5 * MINUTE, "/c", 300, 1)
    await tables.requests(end, "/after", 100, 1_000)
    record = await answers.system(NOON, end, 5 * MINUTE, 2)
    assert record.latencies == {200: 19, -7: 5, 300: 1}
    assert record.endpoints == [EndpointTotals("/a", 12, 3), EndpointTotals("/b", 12, 12)]
    assert record.endpoint_latencies == {"/a": {200: 7, -7: 5}, "/b": {200: 12}}
    assert record.steps == [
        StepTotals(NOON, 7, 3),
        StepTotals(NOON + 5 * MINUTE, 17, 12),
        StepTotals(end - 5 * MINUTE, 1, 0),
    ]


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
    await tables.errors(end - 5 * MINUTE, "refused", 9)
    await tables.errors(NOON, "crash", 5)
    await tables.errors(NOON - 5 * MINUTE, "before", 1)
    await tables.errors(end, "after", 1)
    record = await answers.system(NOON, end, 5 * MINUTE, 10)
    assert list(record.errors.items()) == [("refused", 9), ("crash", 5), ("timeout", 5)]


async def test_a_user_is_active_with_an_event_inside_the_window(answers: Answers, tables: Aggregates) -> None:
    start, end = NOON + 20 * MINUTE, NOON + 85 * MINUTE
    just = timedelta(microseconds=1)
    inside = {
        b"1": [(start, start)],
        b"2": [(NOON, start)],
        b"3": [(end - just, end + 30 * MINUTE)],
        b"4": [(start, start), (NOON + 61 * MINUTE, NOON + 62 * MINUTE)],
    }
    outside = {
        b"5": [(NOON, start - just)],
        b"6": [(end, end + MINUTE)],
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
            assert await anna(Answers(pool)) == nobody(WEDNESDAY)
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
    pseudonyms = [bytes([n]) * 32 for n in range(200)]
    record = await answers.learner(pseudonyms, date(2999, 1, 1), 400_000, NOON, 30 * MINUTE)
    assert record.days == []
