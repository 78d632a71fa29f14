"""Ingest, a worker and the read service in the test's own process, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime

from dashboard.app import create_app as create_dashboard
from dashboard.server import open_services
from ingest.server import create_app as create_ingest
from runtime.clock import utc_now
from runtime.settings import Settings
from stream.entries.lag import measure
from stream.server.connection import connect
from tests.support.serving import served
from tests.support.waiting import eventually
from tests.support.working import working


@dataclass(frozen=True)
class Assembled:
    """A running system. The addresses are `host:port`."""

    settings: Settings
    ingest: str
    dashboard: str

    async def settled(self) -> None:
        """Wait until every accepted event is stored."""
        await settled(self.settings)


@contextlib.asynccontextmanager
async def assembled(settings: Settings, clock: Callable[[], datetime] = utc_now) -> AsyncIterator[Assembled]:
    """Run the system for the block. `clock` is that of the read service."""
    async with answering(settings, clock) as dashboard, working(settings), ingesting(settings) as ingest:
        yield Assembled(settings, ingest, dashboard)


@contextlib.asynccontextmanager
async def ingesting(settings: Settings) -> AsyncIterator[str]:
    """Run ingest for the block. Yields its `host:port`."""
    redis = connect(settings)
    try:
        async with served(create_ingest(settings, redis, asyncio.Event())) as address:
            yield address
    finally:
        await redis.aclose()


@contextlib.asynccontextmanager
async def answering(settings: Settings, clock: Callable[[], datetime] = utc_now) -> AsyncIterator[str]:
    """Run the read service for the block. Yields its `host:port`."""
    stop = asyncio.Event()
    async with open_services(settings) as opened:
        services = dataclasses.replace(opened, clock=clock)
        sampling = asyncio.create_task(services.freshness.run(stop))
        try:
            async with served(create_dashboard(services, stop), live=stop) as address:
                yield address
        finally:
            stop.set()
            await sampling


async def settled(settings: Settings) -> None:
    """Wait until no entry of any partition is undelivered or pending."""
    redis = connect(settings)

    async def nothing_waits() -> bool:
        lags = [await measure(redis, partition) for partition in range(settings.stream_partitions)]
        return all(lag.undelivered == 0 and lag.pending == 0 and lag.oldest_unsettled_at is None for lag in lags)

    await eventually(nothing_waits)
    await redis.aclose()
