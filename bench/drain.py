"""Measures how fast store workers drain a backlog, at any number of stored events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import asyncpg

from bench.memory import peak_bytes
from bench.servers import Servers, worker
from bench.sessions import Sessions, watched
from schemas.entry import WireEvent
from stream.entries.groups import ensure_group
from stream.entries.lag import measure as measure_lag
from stream.entries.producer import Producer, partition_of
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import Redis

_CALL: Final = 1_000


@dataclass(frozen=True, slots=True)
class Drained:
    """Result of draining a backlog."""

    per_second: float
    """Events per second, from the moment workers see the backlog to the last acknowledgement."""
    entry_bytes: float
    """Memory of Redis per waiting event, in bytes."""
    worker_peaks: Sequence[int]
    """Peak memory of each worker, in bytes."""
    batches: int
    """Transactions, including those that filled the database before."""
    sessions: Sessions


async def drain(
    servers: Servers, events: Sequence[WireEvent], workers: int, batch_size: int, partitions: int = 1
) -> Drained:
    """Drain the events. The stream must have no other waiting entries."""
    redis = servers.client()
    producer = Producer(redis, partitions)
    last = {partition_of(event, partitions): event for event in events}
    waking = frozenset(map(id, last.values()))
    backlog = [event for event in events if id(event) not in waking]
    for partition in last:
        await ensure_group(redis, partition, STORE_GROUP)
    streams = {partition: await redis.xinfo_stream(stream_key(partition)) for partition in last}
    before = (await redis.info("memory"))["used_memory"]
    for start in range(0, len(backlog), _CALL):
        await producer.append(backlog[start : start + _CALL])
    after = (await redis.info("memory"))["used_memory"]
    # move the group past the backlog until all workers wait for new entries
    for partition in last:
        await redis.xgroup_setid(stream_key(partition), STORE_GROUP, "$")
    async with AsyncExitStack() as stack:
        pids = [await stack.enter_async_context(worker(servers, batch_size, partitions)) for _ in range(workers)]
        await _until_waiting(redis, workers, last)
        await checkpoint(servers)
        sessions = await stack.enter_async_context(watched(servers.database_url))
        started = time.perf_counter()
        for partition, stream in streams.items():
            await redis.xgroup_setid(
                stream_key(partition),
                STORE_GROUP,
                stream["last-generated-id"],
                entries_read=stream["entries-added"],
            )
        # wakes every waiting worker
        await producer.append(list(last.values()))
        for partition in last:
            while (lag := await measure_lag(redis, partition)).pending or lag.undelivered:
                await asyncio.sleep(0.01)
        seconds = time.perf_counter() - started
        peaks = [peak_bytes(pid) for pid in pids]
    await redis.aclose()
    batches = await _batches(servers)
    return Drained(len(events) / seconds, (after - before) / len(backlog), peaks, batches, sessions)


async def checkpoint(servers: Servers) -> None:
    """Run a checkpoint, so that none is due because of earlier writes."""
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _until_waiting(redis: Redis, workers: int, partitions: Iterable[int]) -> None:
    for partition in partitions:
        while len(await redis.xinfo_consumers(stream_key(partition), STORE_GROUP)) < workers:
            await asyncio.sleep(0.05)


async def _batches(servers: Servers) -> int:
    connection = await asyncpg.connect(servers.database_url)
    batches: int = await connection.fetchval("SELECT sum(batches)::bigint FROM batch_books")
    await connection.close()
    return batches
