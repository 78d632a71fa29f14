"""Aggregates are rebuilt while events arrive and answers are read: no request is refused, and every number is right."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import httpx
import pytest

from dashboard.server import open_services
from runtime.settings import Settings
from storage.batches.rebuild import rebuild_aggregates
from storage.database.locks import BATCH_LOCK
from storage.database.pool import connect
from tests.support.checker import assert_nothing_lost
from tests.support.fleet import ingest_with_senders, running
from tests.support.reading import OVERVIEW, READER, SYSTEM, client_of
from tests.support.waiting import eventually

REBUILDS = 5

# every kind of drift, in a table that every batch changes
SPOIL = f"""
SELECT pg_advisory_xact_lock({BATCH_LOCK});
UPDATE daily_activity_summary SET xp_earned = xp_earned + 1;
UPDATE gamification_stats SET total_xp = total_xp - 1;
DELETE FROM active_users_hourly;
UPDATE hourly_event_counts SET events = events * 2;
"""


@pytest.mark.timeout(180)
async def test_nobody_notices_a_rebuild(settings: Settings, database: asyncpg.Connection) -> None:
    async with (
        rebuilding_connection(settings) as connection,
        open_services(settings) as services,
        client_of(services) as client,
        running(settings, ["worker", "worker"]),
        ingest_with_senders(settings, batch_events=25) as senders,
        Reader(client).reading() as reader,
    ):
        await eventually(lambda: count_of(database, "hourly_event_counts"))
        for _ in range(REBUILDS):
            await senders.accepted_more(1000)
            await database.execute(SPOIL)
            found = await rebuild_aggregates(connection, datetime.now(UTC), settings.system_metrics_retention)
            assert {drift.table for drift in found if not drift.is_clean} == {
                "daily_activity_summary",
                "gamification_stats",
                "active_users_hourly",
                "hourly_event_counts",
            }
        await senders.accepted_more(1000)
    async with running(settings, ["worker"]):
        await assert_nothing_lost(settings, senders.accepted, senders.sent, parked=0)
    assert set(senders.answers) == {"202"}
    assert set(reader.statuses) == {200}
    assert reader.statuses[200] > 10 * REBUILDS


@contextlib.asynccontextmanager
async def rebuilding_connection(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(settings.database_dsn, application_name="tests")
    yield connection
    await connection.close()


async def count_of(database: asyncpg.Connection, table: str) -> int:
    count: int = await database.fetchval(f"SELECT count(*) FROM {table}")
    return count


class Reader:
    """A client that reads an answer repeatedly."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.statuses: Counter[int] = Counter()
        self._over = False
        self._client = client

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Reader]:
        """Read during the block."""
        task = asyncio.create_task(self._read())
        try:
            yield self
        finally:
            self._over = True
            await task

    async def _read(self) -> None:
        while not self._over:
            asked = {OVERVIEW: {"user_id": "learner-1"}, SYSTEM: {}}
            for path, parameters in asked.items():
                self.statuses[(await self._client.get(path, headers=READER, params=parameters)).status_code] += 1
