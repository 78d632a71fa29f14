"""The store worker as a process: after a stop, a kill or a defect, no batch is stored partly."""

from __future__ import annotations

import asyncio
import signal
import sys

import asyncpg
import pytest
from redis.asyncio import Redis

from processors.store import worker
from processors.store.batch import BatchPolicy
from processors.store.breaker import Breaker, BreakerPolicy
from processors.store.poison_isolation import PoisonIsolatingWriter
from runtime.settings import Settings
from storage.batches.verify import Books, read_books
from storage.batches.writer import BatchWriter
from storage.database.pool import open_pool
from stream.entries.consumer import Consumer
from stream.entries.lag import measure
from stream.keys import STORE_GROUP, stream_key
from telemetry import metrics
from tests.support import access
from tests.support.entries import append_events
from tests.support.events import event
from tests.support.waiting import eventually

RUN = """
import asyncio
from processors.store.worker import serve
from runtime.environment import load_settings
from telemetry import logging
settings = load_settings()
logging.configure(settings)
asyncio.run(serve(settings))
"""

FILLING = {"ANALYTICS_BATCH_SIZE": "1000", "ANALYTICS_FLUSH_LINGER_MS": "60000", "ANALYTICS_FLUSH_INTERVAL": "90"}
"""A worker that keeps its batch open, so that it is stopped before the batch is due."""


async def started(settings: Settings, **more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RUN,
        env={
            "REDIS_URL": settings.redis_dsn,
            "DATABASE_URL": settings.database_dsn,
            "ANALYTICS_PSEUDONYM_KEYS": access.PSEUDONYM_KEYS,
            "PYTHONWARNINGS": "error",
            **more,
        },
        stderr=asyncio.subprocess.PIPE,
    )


async def append(redis: Redis, count: int) -> None:
    await append_events(redis, [event("xp_earned", {"xp_amount": 1}, number=number) for number in range(count)])


async def in_hand(redis: Redis, count: int) -> bool:
    return (await measure(redis, 0)).pending == count


async def books(database: asyncpg.Connection) -> Books:
    return (await read_books(database))[0]


async def test_a_shutdown_stores_and_acknowledges_the_batch_in_hand(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    await append(redis, 40)
    child = await started(settings, **FILLING)
    await eventually(lambda: in_hand(redis, 40))
    assert await read_books(database) == {}

    child.send_signal(signal.SIGTERM)
    _, said = await child.communicate()

    assert child.returncode == 0, said.decode()
    assert await books(database) == Books(40, 0, 0, 0)
    assert (await measure(redis, 0)).pending == 0


async def test_killed_with_a_batch_in_hand_the_next_one_stores_it_once(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    await append(redis, 40)
    child = await started(settings, **FILLING)
    await eventually(lambda: in_hand(redis, 40))
    child.kill()
    await child.communicate()
    assert await in_hand(redis, 40)

    stop = asyncio.Event()
    heir = asyncio.create_task(worker.run(settings.model_copy(update={"claim_idle_seconds": 0.001}), stop))
    await eventually(lambda: in_hand(redis, 0))
    stop.set()
    await heir

    assert await books(database) == Books(40, 0, 0, 0)


async def test_a_defect_in_one_partition_ends_the_process_and_says_so(settings: Settings, redis: Redis) -> None:
    await redis.set(stream_key(1), "no stream")
    child = await started(settings, ANALYTICS_STREAM_PARTITIONS="2")
    _, said = await child.communicate()
    assert child.returncode == 1
    assert "WRONGTYPE" in said.decode()


class CutOff(Consumer):
    """A consumer whose worker dies between the commit and the acknowledgement."""

    def __init__(self, redis: Redis, name: str) -> None:
        super().__init__(redis, 0, STORE_GROUP, name, claim_idle_seconds=120)
        self.committed = asyncio.Event()

    async def acknowledge(self, _ids: object) -> None:
        self.committed.set()
        await asyncio.Event().wait()


async def test_what_died_between_commit_and_acknowledgement_counts_as_redelivered(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    await append(redis, 30)
    pool = await open_pool(settings.database_dsn, size=1, application_name="tests")
    source = CutOff(redis, "cut-off")
    isolating = PoisonIsolatingWriter(BatchWriter(pool, 0), 0, asyncio.Event(), Breaker(BreakerPolicy(0, 0, 1)))
    policy = BatchPolicy(size=30, interval=60, linger_ms=50)
    dying = asyncio.create_task(
        worker.PartitionWorker(source, isolating, policy, settings.raw_retention).run(asyncio.Event())
    )
    await source.committed.wait()
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    await pool.close()
    assert await in_hand(redis, 30)
    before = metrics.REDELIVERED._value.get()

    stop = asyncio.Event()
    heir = asyncio.create_task(worker.run(settings.model_copy(update={"claim_idle_seconds": 0.001}), stop))
    await eventually(lambda: in_hand(redis, 0))
    stop.set()
    await heir

    assert metrics.REDELIVERED._value.get() == before + 30
    assert await books(database) == Books(30, 0, 0, 0)
    assert await database.fetchval("SELECT total_xp FROM gamification_stats") == 30
