"""How fast store workers drain a backlog, beside a bare COPY of the same rows by as many clients.

A worker deduplicates, keeps every aggregate and the books, and acknowledges; the bare COPY only puts rows, once each,
into the same table with the same indexes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import asyncpg

from bench.backlog import PSEUDONYM_KEYS, backlog
from bench.bare_copy import copy_alone
from bench.figures import Figure, Floor, Target
from bench.servers import Servers, fresh_servers, verify, worker
from bench.size import Size
from runtime.settings import Settings
from schemas.stream_entry import WireEvent
from stream.connection import Redis
from stream.groups import ensure_group
from stream.keys import STORE_GROUP, stream_key
from stream.lag import measure as measure_lag
from stream.producer import Producer

_TARGETS: Final = {1: Target(15_000), 2: Target(22_000)}
_RATIO: Final = Target(0.5, 0.8)
_CALL: Final = 1_000


async def measure(size: Size) -> list[Figure]:
    """Measure each number of workers and batch size on servers of its own."""
    events = list(backlog(size.backlog_events, Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS})))
    return [await _drained(events, workers, batch_size) for workers, batch_size in size.drains]


async def _drained(events: Sequence[WireEvent], workers: int, batch_size: int) -> Figure:
    async with fresh_servers() as servers:
        rate = await _drain(servers, events, workers, batch_size)
        floor = await _floor(servers, events, workers, batch_size)
    plural = "s" if workers > 1 else ""
    return Figure(
        f"store: {workers} worker{plural}, batches of {batch_size:,}",
        rate,
        "/s",
        (Floor(f"bare COPY, {workers} client{plural}", floor),),
        _TARGETS[workers],
        _RATIO,
    )


async def _drain(servers: Servers, events: Sequence[WireEvent], workers: int, batch_size: int) -> float:
    """Return the events per second, from the moment workers see the backlog to the last acknowledgement."""
    redis = servers.client()
    producer = Producer(redis, 1)
    await ensure_group(redis, 0, STORE_GROUP)
    for start in range(0, len(events) - 1, _CALL):
        await producer.append(events[start : min(start + _CALL, len(events) - 1)])
    # behind the group until all workers wait for something new
    await redis.xgroup_setid(stream_key(0), STORE_GROUP, "$")
    async with AsyncExitStack() as stack:
        for _ in range(workers):
            await stack.enter_async_context(worker(servers, batch_size))
        await _until_waiting(redis, workers)
        await _checkpoint(servers)
        started = time.perf_counter()
        await redis.xgroup_setid(stream_key(0), STORE_GROUP, "0", entries_read=0)
        # wakes every worker that waits
        await producer.append(events[-1:])
        while (lag := await measure_lag(redis, 0)).pending or lag.undelivered:
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - started
    await redis.aclose()
    await verify(servers.directory, len(events), servers.environment())
    return len(events) / seconds


async def _until_waiting(redis: Redis, workers: int) -> None:
    while len(await redis.xinfo_consumers(stream_key(0), STORE_GROUP)) < workers:
        await asyncio.sleep(0.05)


async def _floor(servers: Servers, events: Sequence[WireEvent], clients: int, batch_size: int) -> float:
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("TRUNCATE analytics_events")
    await connection.close()
    await _checkpoint(servers)
    rate = await asyncio.to_thread(copy_alone, servers.database_url, events, clients, batch_size)
    connection = await asyncpg.connect(servers.database_url)
    rows = await connection.fetchval("SELECT count(*) FROM analytics_events")
    await connection.close()
    if rows != len({event.event_id for event in events}):
        raise RuntimeError(f"the floor put {rows:,} rows")
    return rate


async def _checkpoint(servers: Servers) -> None:
    # so that none is due because of what came before
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CHECKPOINT")
    await connection.close()
