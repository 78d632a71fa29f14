"""A worker of this version beside the next one: more fields in an entry and more columns in a table change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from processors import worker
from runtime.settings import Settings
from schemas.stream_entry import FIELDS, encode
from stream.connection import Redis
from stream.keys import stream_key
from tests.support.checker import assert_nothing_lost
from tests.support.events import event


@pytest.fixture
async def next_database(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """The tables as a later release may expand them."""
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
        fields = {**dict(zip(FIELDS, encode(one), strict=True)), b"from_the_future": "a field"}
        await redis.xadd(stream_key(0), dict(fields.items()))
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(settings, stop))
    sent = {one.event_id for one in events}
    await assert_nothing_lost(settings, accepted=sent, sent=sent, parked=0)
    stop.set()
    await running
    assert await next_database.fetchval("SELECT sum(xp_earned)::int FROM daily_activity_summary") == 100
    assert await next_database.fetchval("SELECT DISTINCT schema_version FROM analytics_events") == 2
