"""An expired week leaves in chunks while workers store: every number stays right after each of them."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import asyncpg
import pytest

from runtime.errors import StorageUnavailable
from schemas.accepted import AcceptedEvent
from schemas.entry import encode, pack
from storage.batches.batch import ReceivedEvent
from storage.batches.rebuild import rebuild_aggregates
from storage.batches.rollups import ROLLUPS
from storage.batches.verify import verify_aggregates
from storage.batches.writer import BatchWriter
from storage.database.locks import BATCH_LOCK
from storage.database.pool import Connection, Pool
from storage.database.usage import read_table_usage
from storage.privacy.erasure import erase_stored, open_jobs, request_erasure
from storage.retention import partitions, retirement
from storage.retention import removal as retention
from storage.retention.horizon import raise_horizon
from storage.retention.partition_weeks import WEEK
from tests.support.events import COMPLETE, NOW, event, learner
from tests.support.waiting import eventually

MONTH = timedelta(days=30)
QUARTER = timedelta(days=90)
AGE = timedelta(days=60)
EVENTS = 400
TYPES = list(COMPLETE)


def monday(moment: datetime) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


WEEK_START = monday(NOW - AGE)
NAME = f"analytics_events_{WEEK_START:%Y%m%d}"


def old_events(count: int = EVENTS) -> list[AcceptedEvent]:
    """Return events of all types and many learners, all with ids of one expired week."""
    return [
        event(
            TYPES[number % len(TYPES)],
            COMPLETE[TYPES[number % len(TYPES)]],
            number=number,
            occurred_at=WEEK_START + timedelta(minutes=number),
            user_hash=learner(number % 7),
        )
        for number in range(count)
    ]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retirement, "CHUNK", 50)


def received(events: list[AcceptedEvent], first: int = 1) -> list[ReceivedEvent]:
    return [ReceivedEvent(f"{number}-0", pack(encode(one))) for number, one in enumerate(events, first)]


async def store(pool: Pool, events: list[AcceptedEvent], first: int = 1) -> int:
    return (await BatchWriter(pool, 0).write(0, received(events, first), [])).stored


async def begun(connection: Connection) -> None:
    """Do the first step of the removal: no event of the week is accepted any more."""
    await raise_horizon(connection, WEEK_START + WEEK)
    await connection.execute("INSERT INTO week_removals VALUES ($1, analytics_uuid_floor($2))", NAME, WEEK_START)


async def drift(connection: Connection) -> list[str]:
    found = await verify_aggregates(connection, NOW, timedelta(days=365))
    return [table.table for table in found if not table.is_clean]


async def numbers(pool: Pool) -> dict[str, list[asyncpg.Record]]:
    return {one.table: await pool.fetch(f"{one.merged(one.table)} ORDER BY {', '.join(one.key)}") for one in ROLLUPS}


async def test_the_numbers_are_right_after_each_chunk(pool: Pool, database: asyncpg.Connection) -> None:
    await store(pool, old_events())
    before = await numbers(pool)
    await begun(database)
    left = EVENTS
    while left:
        async with database.transaction():
            taken, is_last = await retirement.retire_chunk(database, NAME, WEEK_START + WEEK)
        left -= taken
        assert taken == 50
        assert is_last is (left == 0)
        assert await database.fetchval("SELECT count(*) FROM analytics_events") == left
        assert await database.fetchval("SELECT sum(events)::int FROM retired.hourly_event_counts") == EVENTS - left
        assert await drift(database) == []
    assert await numbers(pool) == before


async def test_a_removal_continues_where_it_ended(pool: Pool, database: asyncpg.Connection) -> None:
    await store(pool, old_events())
    await begun(database)
    for _ in range(3):
        async with database.transaction():
            await retirement.retire_chunk(database, NAME, WEEK_START + WEEK)
    assert await retention.drop_expired(pool, NOW, MONTH) == EVENTS - 150
    assert await database.fetchval("SELECT count(*) FROM week_removals") == 0
    assert await database.fetchval("SELECT to_regclass($1)", NAME) is None
    assert await drift(database) == []


async def test_a_verification_that_runs_meanwhile_sees_no_difference_and_delays_no_chunk(
    pool: Pool, database: asyncpg.Connection
) -> None:
    await store(pool, old_events())
    await begun(database)
    async with pool.acquire() as verifying, verifying.transaction(isolation="repeatable_read", readonly=True):
        assert await verifying.fetchval("SELECT count(*) FROM analytics_events") == EVENTS
        async with database.transaction():
            assert await retirement.retire_chunk(database, NAME, WEEK_START + WEEK) == (50, False)
        assert await verifying.fetchval("SELECT count(*) FROM analytics_events") == EVENTS
        assert await verifying.fetchval("SELECT count(*) FROM retired.hourly_event_counts") == 0
    assert await drift(database) == []


async def test_workers_store_while_a_chunk_leaves(pool: Pool, database: asyncpg.Connection) -> None:
    await store(pool, old_events())
    await begun(database)
    async with database.transaction():
        await retirement.retire_chunk(database, NAME, WEEK_START + WEEK)
        fresh = [event("xp_earned", {"xp_amount": 1}, number=number) for number in range(20)]
        assert await store(pool, fresh, first=1_000) == 20
    assert await drift(database) == []


async def test_an_event_that_is_sent_again_while_its_row_leaves_counts_once(
    pool: Pool, database: asyncpg.Connection
) -> None:
    events = old_events()
    await store(pool, events)
    await begun(database)
    async with database.transaction():
        await retirement.retire_chunk(database, NAME, WEEK_START + WEEK)
        # in the first chunk, and not committed; it must neither wait for the chunk nor be inserted after it
        counts = await BatchWriter(pool, 0).write(0, received(events[:20], first=1_000), [])
        again = await BatchWriter(pool, 0).write(0, received(events[20:40], first=21), [])
    assert (counts.stored, counts.duplicate, counts.redelivered) == (0, 20, 0)
    assert (again.stored, again.duplicate, again.redelivered) == (0, 0, 20)
    assert await drift(database) == []
    assert await database.fetchval("SELECT sum(events)::int FROM hourly_event_counts") == EVENTS


@pytest.mark.parametrize("change", ["erasure", "rebuild"])
async def test_what_changes_retired_numbers_waits_for_the_chunk(
    pool: Pool, database: asyncpg.Connection, change: str
) -> None:
    await store(pool, old_events())
    await begun(database)
    if change == "rebuild":
        await database.execute("UPDATE gamification_stats SET total_xp = 0")

    async def erase() -> None:
        await request_erasure(pool, [learner(1)], "tests")
        [job] = await open_jobs(pool)
        await erase_stored(pool, job)

    async def rebuild() -> None:
        async with pool.acquire() as connection:
            await rebuild_aggregates(connection, NOW, timedelta(days=365))

    async def waits() -> bool:
        waiting: int = await pool.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            f" AND (classid::bigint << 32 | objid::bigint) = {BATCH_LOCK}"
        )
        return waiting == 1

    async with database.transaction():
        await retirement.retire_chunk(database, NAME, WEEK_START + WEEK)
        changing = asyncio.create_task(erase() if change == "erasure" else rebuild())
        await eventually(waits)
    await changing
    assert await drift(database) == []
    of_learner = "SELECT count(*) FROM retired.gamification_stats WHERE user_hash = $1"
    assert await database.fetchval(of_learner, learner(1)) == (0 if change == "erasure" else 1)


async def test_a_partition_that_an_operator_detached_is_not_dropped(pool: Pool, database: asyncpg.Connection) -> None:
    await store(pool, old_events(10))
    await database.execute(f"ALTER TABLE analytics_events DETACH PARTITION {NAME}")
    await retention.drop_expired(pool, NOW, MONTH)
    assert await database.fetchval(f"SELECT count(*) FROM {NAME}") == 10


async def test_a_week_that_an_open_transaction_keeps_is_detached_by_the_next_run(
    pool: Pool, database: asyncpg.Connection
) -> None:
    await store(pool, old_events(10))
    async with database.transaction():
        assert await database.fetchval("SELECT count(*) FROM analytics_events") == 10
        with pytest.raises(StorageUnavailable, match="older transaction"):
            await retention.drop_expired(pool, NOW, MONTH)
        assert await pool.fetchval("SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == 1
        # half detached, the week still counts for its table
        measured = {usage.table for usage in await read_table_usage(pool)}
        assert [table for table in measured if table.startswith("analytics_events")] == ["analytics_events"]
    assert await retention.drop_expired(pool, NOW, MONTH) == 10
    assert await database.fetchval("SELECT to_regclass($1)", NAME) is None
    assert await drift(database) == []


async def test_a_table_whose_drop_was_interrupted_is_dropped_by_the_next_run(
    pool: Pool, database: asyncpg.Connection
) -> None:
    await store(pool, old_events(10))
    await begun(database)
    async with database.transaction():
        assert await retirement.retire_chunk(database, NAME, WEEK_START + WEEK) == (10, True)
    await database.execute(f"ALTER TABLE analytics_events DETACH PARTITION {NAME}")
    assert await retention.drop_expired(pool, NOW, MONTH) == 0
    assert await database.fetchval("SELECT to_regclass($1)", NAME) is None
    assert await partitions.ensure_partitions(pool, NOW, QUARTER) > 0
    assert await drift(database) == []
