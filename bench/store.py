"""Measures how fast store workers drain a backlog, beside a bare COPY of the same rows by as many clients.

A worker deduplicates, updates all aggregates and the books, and acknowledges. The bare COPY only inserts rows, once
each, into the same table with the same indexes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg

from bench.backlog import PSEUDONYM_KEYS, backlog
from bench.bare_copy import copy_alone
from bench.drain import checkpoint, drain
from bench.figures import Figure, Floor, Target
from bench.servers import Servers, fresh_servers, verify
from bench.size import Size
from runtime.settings import Settings
from schemas.entry import WireEvent

_TARGETS: Final = {1: Target(15_000), 2: Target(22_000)}
_RATIO: Final = Target(0.5, 0.8)


async def measure(size: Size) -> list[Figure]:
    """Measure each number of workers and batch size on fresh servers."""
    events = list(backlog(size.backlog_events, Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS})))
    return [await _drained(events, workers, batch_size) for workers, batch_size in size.drains]


async def _drained(events: Sequence[WireEvent], workers: int, batch_size: int) -> Figure:
    async with fresh_servers() as servers:
        drained = await drain(servers, events, workers, batch_size)
        await verify(servers.directory, len(events), servers.environment())
        floor = await _floor(servers, events, workers, batch_size)
    plural = "s" if workers > 1 else ""
    return Figure(
        f"store: {workers} worker{plural}, batches of {batch_size:,}",
        drained.per_second,
        "/s",
        (Floor(f"bare COPY, {workers} client{plural}", floor),),
        _TARGETS[workers],
        _RATIO,
    )


async def _floor(servers: Servers, events: Sequence[WireEvent], clients: int, batch_size: int) -> float:
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("TRUNCATE analytics_events")
    await connection.close()
    await checkpoint(servers)
    rate = await asyncio.to_thread(copy_alone, servers.database_url, events, clients, batch_size)
    connection = await asyncpg.connect(servers.database_url)
    rows = await connection.fetchval("SELECT count(*) FROM analytics_events")
    await connection.close()
    if rows != len({event.event_id for event in events}):
        raise RuntimeError(f"the floor put {rows:,} rows")
    return rate
