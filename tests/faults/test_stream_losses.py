"""Redis is emptied, or replaced by an older copy: workers continue, and lost entries are counted and reported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cli.local.embedded.valkey import Valkey
from processors.balance import Balance, read_balances
from processors.maintenance.chores import check_stream
from runtime.settings import Settings
from storage.batches.verify import verify_aggregates
from storage.database.pool import Pool
from storage.diagnosis.contents import check_losses
from stream.entries.continuity import find_position
from stream.entries.lag import measure
from stream.keys import stream_key
from stream.server.connection import connect
from telemetry import metrics
from tests.support.entries import append_events
from tests.support.events import NOW, event
from tests.support.replication import follow, pair
from tests.support.waiting import eventually
from tests.support.working import working


@asynccontextmanager
async def client_of(server: Valkey, settings: Settings) -> AsyncIterator[Redis]:
    redis = connect(on(server, settings))
    yield redis
    await redis.aclose()


def on(server: Valkey, settings: Settings) -> Settings:
    return settings.model_copy(update={"redis_url": SecretStr(server.url), "claim_idle_seconds": 0.001})


async def append(redis: Redis, numbers: range) -> None:
    await append_events(redis, [event("xp_earned", {"xp_amount": 1}, number=number) for number in numbers])


async def settled(redis: Redis) -> bool:
    lag = await measure(redis, 0)
    return lag.pending == 0 and lag.oldest_unsettled_at is None


async def stored(database: asyncpg.Connection) -> int:
    count: int = await database.fetchval("SELECT count(*) FROM analytics_events")
    return count


async def balance(redis: Redis, database: asyncpg.Connection) -> Balance:
    [found] = await read_balances(redis, database, [0])
    assert found.is_balanced
    assert [drift for drift in await verify_aggregates(database, NOW, timedelta(days=30)) if not drift.is_clean] == []
    return found


async def test_what_was_not_stored_when_redis_was_emptied_is_counted_as_lost(
    own_valkey: Valkey, settings: Settings, database: asyncpg.Connection, pool: Pool
) -> None:
    async with client_of(own_valkey, settings) as redis:
        await append(redis, range(200))
        async with working(on(own_valkey, settings)):
            await eventually(lambda: settled(redis))
        await append(redis, range(200, 250))
        assert not await check_stream(redis, pool, 0)

        await redis.flushall()
        async with working(on(own_valkey, settings)):
            await append(redis, range(250, 280))
            await eventually(lambda: settled(redis))
        rewinds = metrics.STREAM_REWINDS._value.get()
        assert await check_stream(redis, pool, 0)

        found = await balance(redis, database)
        assert (found.appended, found.lost, found.fates()["in_flight"]) == (280, 50, 0)
        assert await stored(database) == 230
        assert metrics.STREAM_REWINDS._value.get() == rewinds + 1
        assert check_losses(found.losses, datetime.now(UTC)).status == "warn"
        assert check_losses(found.losses, datetime.now(UTC) + timedelta(days=8)).status == "ok"
        assert not await check_stream(redis, pool, 0)


async def test_a_worker_that_waits_for_entries_goes_on_when_redis_is_emptied(
    own_valkey: Valkey, settings: Settings, database: asyncpg.Connection, pool: Pool
) -> None:
    recreated = metrics.STREAM_RECREATED._value.get()
    async with client_of(own_valkey, settings) as redis, working(on(own_valkey, settings)):
        await append(redis, range(100))
        await eventually(lambda: settled(redis))
        await check_stream(redis, pool, 0)

        await redis.flushall()
        await eventually(lambda: metrics.STREAM_RECREATED._value.get() > recreated)
        await append(redis, range(100, 130))
        await eventually(lambda: settled(redis))

        assert await check_stream(redis, pool, 0)
        found = await balance(redis, database)
        assert (found.appended, found.lost, await stored(database)) == (130, 0, 130)


@pytest.mark.parametrize(("seen", "appended", "lost"), [(True, 165, 25), (False, 140, 0)])
async def test_what_an_older_copy_does_not_have_is_counted_as_far_as_it_was_seen(
    data_directory: Path,
    settings: Settings,
    database: asyncpg.Connection,
    pool: Pool,
    seen: bool,
    appended: int,
    lost: int,
) -> None:
    with pair(data_directory) as (primary, replica):
        await follow(replica, primary)
        async with client_of(primary, settings) as redis, client_of(replica, settings) as heir:
            async with working(on(primary, settings)):
                await append(redis, range(100))
                await eventually(lambda: settled(redis))
                await redis.wait(1, 0)
                await heir.replicaof("NO", "ONE")
                await append(redis, range(100, 115))
                await eventually(lambda: settled(redis))
                await check_stream(redis, pool, 0)
                # stored, and appended after the last check
                await append(redis, range(115, 120))
                await eventually(lambda: settled(redis))
            await append(redis, range(120, 145))
            if seen:
                await check_stream(redis, pool, 0)
            primary.kill()

            await append(heir, range(145, 165))
            assert await check_stream(heir, pool, 0)
            assert (await balance(heir, database)).lost == lost
            async with working(on(replica, settings)):
                await eventually(lambda: settled(heir))

            found = await balance(heir, database)
            # entries that were neither stored nor observed leave no trace
            assert (found.appended, found.lost, await stored(database)) == (appended, lost, 140)


async def test_losses_add_up(own_valkey: Valkey, settings: Settings, database: asyncpg.Connection, pool: Pool) -> None:
    async with client_of(own_valkey, settings) as redis:
        for round_ in range(3):
            first = 100 * round_
            await append(redis, range(first, first + 40))
            async with working(on(own_valkey, settings)):
                await eventually(lambda: settled(redis))
            await append(redis, range(first + 40, first + 50))
            await check_stream(redis, pool, 0)
            await redis.flushall()
            assert await check_stream(redis, pool, 0)
        found = await balance(redis, database)
        assert [loss.lost for loss in found.losses] == [10, 10, 10]
        assert (found.appended, found.lost, await stored(database)) == (150, 30, 120)


async def test_what_is_trimmed_or_deleted_is_not_lost(own_valkey: Valkey, settings: Settings, pool: Pool) -> None:
    async with client_of(own_valkey, settings) as redis:
        await append(redis, range(100))
        await check_stream(redis, pool, 0)
        await redis.xtrim(stream_key(0), maxlen=0, approximate=False)
        assert not await check_stream(redis, pool, 0)
        await append(redis, range(100, 110))
        await check_stream(redis, pool, 0)
        newest = await find_position(redis, 0)
        await redis.xdel(stream_key(0), newest.last_id)
        assert not await check_stream(redis, pool, 0)
        await append(redis, range(110, 120))
        await redis.xtrim(stream_key(0), maxlen=5, approximate=False)
        assert not await check_stream(redis, pool, 0)
