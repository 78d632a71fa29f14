"""Workers of this release run beside the next and the previous one; each ignores what it does not know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from processors.store import worker
from runtime.settings import Settings
from schemas.entry import encode, pack
from storage.answers.aggregates import Answers
from storage.batches import rebuild
from storage.batches.batch import ReceivedEvent
from storage.batches.verify import Books, read_books
from storage.batches.writer import BatchWriter
from storage.database import migrate
from storage.database.pool import open_pool
from stream.server.connection import Redis
from tests.support.checker import assert_nothing_lost
from tests.support.entries import append_entry, as_read, as_read_before
from tests.support.events import NOW, event, learner
from tests.support.traffic import demo_traffic
from tests.support.working import working


@pytest.fixture
async def next_database(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """The tables as a later release may extend them."""
    connection = await asyncpg.connect(settings.database_dsn)
    for table in ("analytics_events", "learning_sessions", "daily_activity_summary", "dead_letters", "batch_books"):
        await connection.execute(f"ALTER TABLE {table} ADD COLUMN from_the_future text NOT NULL DEFAULT 'unset'")
    yield connection
    await connection.close()


async def test_entries_and_tables_of_the_next_version_are_understood(
    settings: Settings, redis: Redis, next_database: asyncpg.Connection
) -> None:
    events = [event("xp_earned", {"xp_amount": 5}, number=number, schema_version=2) for number in range(20)]
    for one in events:
        await append_entry(redis, as_read(encode(one)) | {b"from_the_future": b"a field"})
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(settings, stop))
    sent = {one.event_id for one in events}
    await assert_nothing_lost(settings, accepted=sent, sent=sent, parked=0)
    stop.set()
    await running
    assert await next_database.fetchval("SELECT sum(xp_earned)::int FROM daily_activity_summary") == 100
    assert await next_database.fetchval("SELECT DISTINCT schema_version FROM analytics_events") == 2


async def test_entries_of_both_forms_are_stored_once_while_ingest_is_replaced(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    events = demo_traffic(300)
    sent = {one.event_id for one in events}
    async with working(settings):
        for number, one in enumerate(events):
            # two replicas of ingest, of which one was replaced; each third event is repeated to the other one
            forms = [as_read, as_read_before] if number % 2 else [as_read_before, as_read]
            for form in forms if number % 3 == 0 else forms[:1]:
                await append_entry(redis, form(encode(one)))
        await assert_nothing_lost(settings, accepted=sent, sent=sent, parked=0)
    assert await database.fetchval("SELECT count(*) FROM analytics_events") == len(sent)
    [books] = (await read_books(database)).values()
    assert books == Books(len(sent), len(events) + len(events) // 3 - len(sent), 0, 0)


# the statements of the previous release for a batch of one session
SESSION_AS_BEFORE = """
INSERT INTO learning_sessions AS t (user_hash, session_id, started_at, start_event_id, activity_date, last_event_at,
                                    ended_at, reported_duration_ms, event_count)
VALUES ($1, $2, $3::timestamptz, $2, ($3::timestamptz AT TIME ZONE 'UTC')::date, $4, NULL, $5, 1)
ON CONFLICT (user_hash, session_id) DO UPDATE
SET last_event_at = GREATEST(t.last_event_at, EXCLUDED.last_event_at),
    reported_duration_ms = GREATEST(t.reported_duration_ms, EXCLUDED.reported_duration_ms),
    event_count = t.event_count + EXCLUDED.event_count
"""


async def test_sessions_that_the_release_before_wrote_count_as_it_counted_them(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url, "0006")
    hour = timedelta(hours=1)
    silent, reported, gone = UUID(int=1), UUID(int=2), UUID(int=3)
    async with await open_pool(empty_database_url, size=2, application_name="tests") as pool:
        await pool.execute(SESSION_AS_BEFORE, learner(0), silent, NOW - 5 * hour, NOW - 4 * hour, None)
        await pool.execute(SESSION_AS_BEFORE, learner(0), reported, NOW - 5 * hour, NOW - 4 * hour, 1_500)
        await pool.execute(
            SESSION_AS_BEFORE.replace("learning_sessions", "retired.learning_sessions"),
            *(learner(0), gone, NOW - 9 * hour, NOW - 7 * hour, None),
        )
        await migrate.upgrade(empty_database_url)
        # a worker that is still running continues
        await pool.execute(SESSION_AS_BEFORE, learner(0), silent, NOW - 3 * hour, NOW - 2 * hour, None)

        async def microseconds() -> int:
            record = await Answers(pool).learner([learner(0)], NOW.date(), 3, NOW, timedelta(minutes=30))
            return sum(day.session_microseconds for day in record.days)

        assert await microseconds() == 3 * 3_600_000_000 + 1_500_000
        late = event("search_query", session_id=silent, activity_date=(NOW - 5 * hour).date())
        await BatchWriter(pool, 0).write(0, [ReceivedEvent("1-0", pack(encode(late)))], [])
        assert await microseconds() == 5 * 3_600_000_000 + 1_500_000
        async with pool.acquire() as connection:
            await rebuild.rebuild_aggregates(connection, NOW, timedelta(days=30))
        # for removed raw events, a rebuild has only what the previous release recorded
        assert await microseconds() == 2 * 3_600_000_000
