"""The pipeline in steps that a test can interleave: real servers, product code, and nothing that runs by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

import asyncpg
from redis.exceptions import TimeoutError as RedisTimeoutError

from processors.maintenance.erasure import carry_out, remove_suppressed
from processors.store.decode import StorableRange, decode_entries
from runtime.errors import StreamUnavailable
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.entry import user_hash_of
from storage.batches.batch import BatchCounts
from storage.batches.rebuild import rebuild_aggregates
from storage.batches.verify import TableDrift, read_books, verify_aggregates
from storage.batches.writer import BatchWriter
from storage.database.pool import Pool, open_pool
from storage.privacy.erasure import open_jobs, request_erasure
from stream.entries.consumer import Consumer
from stream.entries.entry import Entry
from stream.entries.lag import GroupLag, measure
from stream.entries.trimmer import trim
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import Redis, connect
from tests.support.entries import append_events, stream_entries

T = TypeVar("T")

TABLES = """
analytics_events, learning_sessions, gamification_stats, learner_achievements, learner_materials,
daily_activity_summary, ai_coach_metrics, system_metrics, system_errors, active_users_hourly, hourly_event_counts,
dead_letters, settled_entries, batch_books, erased_users, erasure_jobs,
retired.hourly_event_counts, retired.system_metrics, retired.system_errors
"""
READ = 10


class Lossy:
    """A Redis client that can lose a reply: the call took effect, and the caller gets an error."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.loses_next_read = False

    async def xreadgroup(self, *arguments: Any, **options: Any) -> Any:
        reply = await self._redis.xreadgroup(*arguments, **options)
        if self.loses_next_read:
            self.loses_next_read = False
            raise RedisTimeoutError("the reply was lost")
        return reply

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)


class Worker:
    """A worker that makes each step only when the test calls it."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._redis = Lossy(world.redis)
        client: Any = self._redis
        # Idle for no time at all: a read claims the entries of all other consumers, dead or alive.
        self._consumer = Consumer(client, 0, STORE_GROUP, name, claim_idle_seconds=0)
        self._entries: list[Entry] = []
        self._is_stored = False

    @property
    def can_read(self) -> bool:
        return not self._entries

    @property
    def can_store(self) -> bool:
        return bool(self._entries) and not self._is_stored

    @property
    def can_acknowledge(self) -> bool:
        return self._is_stored

    async def read(self, *, reply_lost: bool = False) -> None:
        self._redis.loses_next_read = reply_lost
        try:
            self._entries = await self._consumer.read(READ, 1)
        except StreamUnavailable:
            assert reply_lost
        finally:
            self._redis.loses_next_read = False

    async def store(self) -> BatchCounts:
        events, letters = decode_entries(self._entries, self._world.storable)
        counts = await self._world.writer.write(0, events, letters)
        self._is_stored = True
        return counts

    async def store_in_vain(self) -> None:
        """Do everything up to the commit, then roll back."""
        events, _ = decode_entries(self._entries, self._world.storable)
        await self._world.writer.rehearse(0, events)

    async def acknowledge(self) -> None:
        entries, self._entries, self._is_stored = self._entries, [], False
        await self._consumer.acknowledge([entry.id for entry in entries])


class World:
    """One pipeline, emptied for each example."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()
        self._names = count()
        self.now = datetime.now(UTC)
        self.storable = StorableRange.around(self.now, settings.raw_retention)
        self.run(self._open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def close(self) -> None:
        self.run(self._close())
        self._runner.close()

    async def _open(self) -> None:
        self.redis = connect(self._settings)
        self.pool: Pool = await open_pool(self._settings.database_dsn, size=3, application_name="simulation")
        self.writer = BatchWriter(self.pool, 0)

    async def _close(self) -> None:
        await self.pool.close()
        await self.redis.aclose()

    async def empty(self) -> None:
        await self.redis.flushdb()
        await self.pool.execute(f"TRUNCATE {TABLES}")

    async def new_worker(self) -> Worker:
        return Worker(self, f"worker-{next(self._names)}")

    async def append(self, events: Sequence[AcceptedEvent]) -> None:
        await append_events(self.redis, events)

    async def append_poison(self) -> None:
        await self.redis.xadd(stream_key(0), {"event_type": "no_such_type"})

    async def trim(self) -> None:
        await trim(self.redis, 0, timedelta(0), 1)

    async def lose_group(self) -> None:
        if await self.redis.exists(stream_key(0)):
            await self.redis.xgroup_destroy(stream_key(0), STORE_GROUP)

    async def request_erasure(self, user_hash: bytes) -> None:
        await request_erasure(self.pool, [user_hash], "simulation")

    async def carry_out_erasures(self) -> int:
        """Return the number of open erasures."""
        await carry_out(self.redis, self.pool, [0])
        return len(await open_jobs(self.pool))

    async def learners_in_stream(self) -> set[bytes]:
        await remove_suppressed(self.redis, self.pool, self.now - timedelta(days=1))
        return {bytes.fromhex(user_hash_of(fields).decode()) for _, fields in await stream_entries(self.redis)}

    async def rebuild(self) -> list[TableDrift]:
        async with self.pool.acquire() as connection:
            return await rebuild_aggregates(connection, self.now, self._settings.system_metrics_retention)

    async def drift(self) -> list[TableDrift]:
        async with self.pool.acquire() as connection:
            found = await verify_aggregates(connection, self.now, self._settings.system_metrics_retention)
        return [table for table in found if not table.is_clean]

    async def lag(self) -> GroupLag:
        return await measure(self.redis, 0)

    async def booked(self) -> int:
        async with self.pool.acquire() as connection:
            books = await read_books(connection)
        return books[0].settled if books else 0

    async def rows(self, statement: str) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = await self.pool.fetch(statement)
        return found
