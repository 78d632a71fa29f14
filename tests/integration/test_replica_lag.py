"""How far the replicas of Postgres are behind is measured, on a real replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from cli.local.embedded.postgres import Postgres
from processors.maintenance.measuring_chores import measure_database
from storage.database.migrate import upgrade
from storage.database.pool import open_pool
from storage.database.usage import read_replica_lags
from telemetry import leader_facts
from tests.support.standby import copy_of
from tests.support.waiting import eventually

UNNAMED = "walreceiver"
"""Name of a replica whose configuration has none."""


@pytest.fixture
async def standby(own_postgres: Postgres, data_directory: Path) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a replica of `own_postgres`."""
    await upgrade(own_postgres.url)
    server = await asyncio.to_thread(copy_of, own_postgres, data_directory / "standby")
    try:
        await asyncio.to_thread(server.start)
        connection = await asyncpg.connect(server.url)
        yield connection
        await connection.close()
    finally:
        server.destroy()


async def test_a_replica_that_stands_still_is_behind_until_it_has_replayed_everything(
    own_postgres: Postgres, standby: asyncpg.Connection
) -> None:
    pool = await open_pool(own_postgres.url, size=1, application_name="measuring")
    try:

        async def lag() -> timedelta | None:
            return (await read_replica_lags(pool)).get(UNNAMED)

        async def is_behind() -> bool:
            await pool.execute("SELECT pg_logical_emit_message(false, 'test', 'a change')")
            return (await lag() or timedelta(0)) > timedelta(seconds=1)

        async def has_replayed() -> bool:
            return await lag() == timedelta(0)

        await eventually(has_replayed)
        await standby.execute("SELECT pg_wal_replay_pause()")
        await eventually(is_behind)
        await measure_database(pool, datetime.now(UTC))
        assert leader_facts.DATABASE_REPLICA_LAG.facts[(UNNAMED,)].value > 1
        await standby.execute("SELECT pg_wal_replay_resume()")
        await eventually(has_replayed)
    finally:
        await pool.close()
