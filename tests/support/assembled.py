"""Ingest, a worker and the read service in the test's own process, behind real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime

from dashboard.app import create_app as create_dashboard
from dashboard.server import open_services
from ingest.server import acceptance_policy
from ingest.server import create_app as create_ingest
from runtime.clock import utc_now
from runtime.settings import Settings
from stream.connection import connect
from stream.lag import measure
from stream.tombstones import follow_tombstones, publish_tombstones
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
    stop = asyncio.Event()
    redis = connect(settings)
    policy = acceptance_policy(settings)
    following: list[asyncio.Task[None]] = []
    if policy.names.needs_tombstones:
        await publish_tombstones(redis, [])
        following.append(asyncio.create_task(follow_tombstones(redis, policy.names.renew, stop)))
        await eventually(lambda: not policy.names.is_undecided)
    async with contextlib.AsyncExitStack() as stack:
        services = dataclasses.replace(await stack.enter_async_context(open_services(settings)), clock=clock)
        following.append(asyncio.create_task(services.freshness.keep(stop)))
        await stack.enter_async_context(working(settings))
        ingest = await stack.enter_async_context(served(create_ingest(settings, redis, stop, policy=policy)))
        dashboard = await stack.enter_async_context(served(create_dashboard(services, stop), live=stop))
        yield Assembled(settings, ingest, dashboard)
        stop.set()
        await asyncio.gather(*following)
    await redis.aclose()


async def settled(settings: Settings) -> None:
    """Wait until no event of any partition is undelivered, pending or read and not acknowledged."""
    redis = connect(settings)

    async def nothing_waits() -> bool:
        lags = [await measure(redis, partition) for partition in range(settings.stream_partitions)]
        return all(lag.undelivered == 0 and lag.pending == 0 and lag.oldest_unsettled_at is None for lag in lags)

    await eventually(nothing_waits)
    await redis.aclose()
