"""The hourly summary is exact after each refresh, and only the hours that have changed are counted again."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from schemas.accepted import AcceptedEvent
from schemas.entry import encode, pack
from storage.answers import summary as hourly_summary
from storage.batches.batch import ReceivedEvent
from storage.batches.rebuild import rebuild_aggregates
from storage.batches.writer import BatchWriter
from storage.database.pool import Pool
from storage.privacy.erasure import erase_stored, open_jobs, request_erasure
from storage.retention.removal import prune_system_metrics
from tests.support.events import COMPLETE, NOW, event, learner
from tests.support.waiting import eventually

HOUR = timedelta(hours=1)
YEAR = timedelta(days=365)
TYPES = list(COMPLETE)


async def store(pool: Pool, events: list[AcceptedEvent]) -> None:
    entries = [
        ReceivedEvent(f"{one.event_id.int >> 80}-{number}", pack(encode(one))) for number, one in enumerate(events)
    ]
    assert (await BatchWriter(pool, 0).write(0, entries, [])).stored == len(events)


def activity(first: int, hours_ago: int, count: int = 1) -> list[AcceptedEvent]:
    """Return events of all types and of different learners, `hours_ago`."""
    return [
        event(
            TYPES[number % len(TYPES)],
            COMPLETE[TYPES[number % len(TYPES)]],
            number=number,
            occurred_at=NOW - hours_ago * HOUR,
            user_hash=learner(number),
        )
        for number in range(first, first + count)
    ]


async def summary(pool: Pool) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await pool.fetch("SELECT * FROM hourly_analytics_summary ORDER BY hour")]


async def active(pool: Pool) -> list[int]:
    return [row["active_users"] for row in await pool.fetch("SELECT * FROM hourly_analytics_summary ORDER BY hour")]


async def as_before(pool: Pool) -> list[tuple[object, ...]]:
    """Return what the release before would show: everything counted again."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("DELETE FROM hourly_summary")
        await connection.execute("REFRESH MATERIALIZED VIEW hourly_analytics_summary")
        rows = await connection.fetch("SELECT * FROM hourly_analytics_summary ORDER BY hour")
        await transaction.rollback()
    return [tuple(row) for row in rows]


async def test_late_events_of_an_old_hour_appear_and_every_figure_equals_a_full_count(pool: Pool) -> None:
    await store(pool, [*activity(0, 5, 30), *activity(100, 2, 20)])
    await hourly_summary.refresh(pool)
    assert await active(pool) == [30, 20]
    assert await summary(pool) == await as_before(pool)

    await store(pool, [*activity(200, 5, 3), *activity(300, 700, 4), *activity(400, 0, 2)])
    await hourly_summary.refresh(pool)
    assert await active(pool) == [4, 33, 20, 2]
    assert await summary(pool) == await as_before(pool)


async def test_an_hour_that_has_not_changed_is_not_counted_again(pool: Pool) -> None:
    await store(pool, [*activity(0, 5, 3), *activity(100, 2, 2)])
    await hourly_summary.refresh(pool)
    await pool.execute("UPDATE hourly_summary SET active_users = 99")
    await store(pool, activity(200, 2))
    await hourly_summary.refresh(pool)
    assert await active(pool) == [99, 3]


async def test_an_erasure_is_seen_in_the_hours_of_the_learner_and_in_no_other(
    pool: Pool, database: asyncpg.Connection
) -> None:
    await store(pool, [*activity(0, 5, 3), *activity(100, 2, 2)])
    await hourly_summary.refresh(pool)
    await request_erasure(pool, [learner(1)], "tests")
    [job] = await open_jobs(pool)
    await erase_stored(pool, job)
    assert await database.fetchval("SELECT count(*) FROM hourly_summary") == 1
    await hourly_summary.refresh(pool)
    assert await active(pool) == [2, 2]
    assert await summary(pool) == await as_before(pool)


@pytest.mark.parametrize("change", ["erasure", "rebuild"])
async def test_workers_store_while_a_change_of_active_users_waits_for_a_long_refresh(
    pool: Pool, database: asyncpg.Connection, change: str
) -> None:
    await store(pool, [*activity(0, 5, 3), *activity(100, 2, 2)])
    await pool.execute("DELETE FROM active_users_hourly WHERE user_hash = $1", learner(0))
    await request_erasure(pool, [learner(1)], "tests")
    [job] = await open_jobs(pool)

    async def rebuild() -> None:
        async with pool.acquire() as connection:
            await rebuild_aggregates(connection, NOW, YEAR)

    async def waits_for(kind: str) -> bool:
        waiting: bool = await pool.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database AS this ON this.oid = database"
            " WHERE datname = current_database() AND locktype = $1 AND NOT granted)",
            kind,
        )
        return waiting

    async with database.transaction():
        # the refresh stops where it writes what it has counted
        await database.execute("LOCK TABLE hourly_summary IN EXCLUSIVE MODE")
        refreshing = asyncio.create_task(hourly_summary.refresh(pool))
        await eventually(lambda: waits_for("relation"))
        changing = asyncio.create_task(erase_stored(pool, job) if change == "erasure" else rebuild())
        await eventually(lambda: waits_for("advisory"))
        await store(pool, activity(200, 1, 2))
    await refreshing
    await changing
    await hourly_summary.refresh(pool)
    assert await active(pool) == ([1, 2, 2] if change == "erasure" else [3, 2, 2])
    assert await summary(pool) == await as_before(pool)


async def test_a_rebuild_corrects_the_summary_too(pool: Pool, database: asyncpg.Connection) -> None:
    await store(pool, activity(0, 5, 3))
    await pool.execute("DELETE FROM active_users_hourly")
    await hourly_summary.refresh(pool)
    assert await active(pool) == [0]
    await rebuild_aggregates(database, NOW, YEAR)
    await hourly_summary.refresh(pool)
    assert await active(pool) == [3]


async def test_active_users_past_their_retention_are_gone_and_hours_past_30_days_too(pool: Pool) -> None:
    await store(pool, [*activity(0, 30, 3), *activity(100, 2, 2), *activity(200, 31 * 24, 1)])
    await hourly_summary.refresh(pool)
    assert await active(pool) == [3, 2]
    await prune_system_metrics(pool, NOW, 24 * HOUR)
    await hourly_summary.refresh(pool)
    assert await active(pool) == [0, 2]
    assert await summary(pool) == await as_before(pool)

    await pool.execute("UPDATE hourly_event_counts SET hour = hour - interval '31 days'")
    await hourly_summary.refresh(pool)
    assert await summary(pool) == []


async def test_the_view_is_refreshed_by_the_release_before_until_this_one_fills_the_table(pool: Pool) -> None:
    await store(pool, activity(0, 5, 3))
    await pool.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY hourly_analytics_summary")
    shown = await summary(pool)
    assert await active(pool) == [3]
    await hourly_summary.refresh(pool)
    assert await summary(pool) == shown


async def test_a_view_without_content_is_filled_again(pool: Pool) -> None:
    await store(pool, activity(0, 5, 3))
    await pool.execute("REFRESH MATERIALIZED VIEW hourly_analytics_summary WITH NO DATA")
    await hourly_summary.refresh(pool)
    assert await active(pool) == [3]
