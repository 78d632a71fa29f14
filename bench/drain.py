"""Store workers drain a backlog, whatever is stored already."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import asyncpg

from bench.memory import peak_bytes
from bench.servers import Servers, worker
from schemas.accepted import AcceptedEvent
from stream.connection import Redis
from stream.groups import ensure_group
from stream.keys import STORE_GROUP, stream_key
from stream.lag import measure as measure_lag
from stream.producer import Producer

_CALL: Final = 1_000


@dataclass(frozen=True, slots=True)
class Drained:
    """What a backlog took."""

    per_second: float
    """Events, from the moment workers see the backlog to the last acknowledgement."""
    entry_bytes: float
    """Memory of Redis for each event while it waited."""
    worker_peaks: Sequence[int]
    """Most bytes each worker had in memory."""


async def drain(servers: Servers, events: Sequence[AcceptedEvent], workers: int, batch_size: int) -> Drained:
    """Drain the events; the stream must have no others that wait."""
    redis = servers.client()
    producer = Producer(redis, 1)
    await ensure_group(redis, 0, STORE_GROUP)
    stream = await redis.xinfo_stream(stream_key(0))
    before = (await redis.info("memory"))["used_memory"]
    for start in range(0, len(events) - 1, _CALL):
        await producer.append(events[start : min(start + _CALL, len(events) - 1)])
    after = (await redis.info("memory"))["used_memory"]
    # behind the group until all workers wait for something new
    await redis.xgroup_setid(stream_key(0), STORE_GROUP, "$")
    async with AsyncExitStack() as stack:
        pids = [await stack.enter_async_context(worker(servers, batch_size)) for _ in range(workers)]
        await _until_waiting(redis, workers)
        await checkpoint(servers)
        started = time.perf_counter()
        await redis.xgroup_setid(
            stream_key(0), STORE_GROUP, stream["last-generated-id"], entries_read=stream["entries-added"]
        )
        # wakes every worker that waits
        await producer.append(events[-1:])
        while (lag := await measure_lag(redis, 0)).pending or lag.undelivered:
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - started
        peaks = [peak_bytes(pid) for pid in pids]
    await redis.aclose()
    return Drained(len(events) / seconds, (after - before) / (len(events) - 1), peaks)


async def checkpoint(servers: Servers) -> None:
    """Write out all that Postgres has not, so that no checkpoint is due because of what came before."""
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _until_waiting(redis: Redis, workers: int) -> None:
    while len(await redis.xinfo_consumers(stream_key(0), STORE_GROUP)) < workers:
        await asyncio.sleep(0.05)
