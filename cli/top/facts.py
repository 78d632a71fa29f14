"""The facts that `analytics top` shows: what Redis and Postgres tell at one moment. No data of learners."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from processors.maintenance.lag_measurement import groups_of
from runtime.clock import utc_now
from runtime.errors import DependencyUnavailable, StorageUnavailable, StreamUnavailable
from runtime.settings import Settings
from storage import dead_letters
from storage.database.pool import Pool
from storage.database.usage import ServerUsage, read_applications, read_server_usage
from storage.diagnosis.maintenance import is_led
from storage.privacy.erasure import open_since
from stream.entries.books import StreamBooks, read_stream_books
from stream.entries.consumers import list_consumers
from stream.entries.extent import StreamExtent, measure_extent
from stream.entries.lag import GroupLag, measure
from stream.registry.chores import ChoreRecord, read_chores
from stream.server.client_names import Fleet, read_fleet
from stream.server.connection import Redis
from stream.server.health import Memory, Safety, memory, safety


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One of our groups in one partition."""

    partition: int
    group: str
    lag: GroupLag
    books: StreamBooks


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """A worker, in all partitions."""

    name: str
    group: str
    partitions: int
    """Number of partitions that it has read."""
    pending: int
    idle: timedelta
    """Time since it last asked for entries."""


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What Redis tells."""

    memory: Memory
    safety: Safety
    groups: Sequence[GroupFacts]
    extents: Mapping[int, StreamExtent]
    """The size of each partition."""
    workers: Sequence[WorkerFacts]
    fleet: Fleet | None
    """None if the login may not list clients."""
    chores: Sequence[ChoreRecord] | None
    """None if no process reports them."""


@dataclass(frozen=True, slots=True)
class PostgresFacts:
    """What Postgres tells."""

    usage: ServerUsage
    applications: Mapping[str, int]
    """Number of connections by application."""
    is_led: bool
    """Whether a process leads maintenance."""
    dead_letters: Mapping[str, int]
    """Number of those that were not retried, by reason."""
    last_parked_at: datetime | None
    erasures_open_since: Sequence[datetime]


@dataclass(frozen=True, slots=True)
class Sample:
    """All facts of one moment. A server that is out of reach has the error instead."""

    at: datetime
    redis: RedisFacts | StreamUnavailable
    postgres: PostgresFacts | StorageUnavailable

    @property
    def errors(self) -> list[DependencyUnavailable]:
        """The errors of the servers that are out of reach."""
        return [part for part in (self.redis, self.postgres) if isinstance(part, DependencyUnavailable)]


async def read_sample(settings: Settings, redis: Redis, pool: Pool) -> Sample:
    """Return the facts of this moment. May wait for the timeouts of both servers, in parallel."""
    of_redis, of_postgres = await asyncio.gather(_try_redis(redis, settings.stream_partitions), _try_postgres(pool))
    return Sample(utc_now(), of_redis, of_postgres)


async def _try_redis(redis: Redis, partitions: int) -> RedisFacts | StreamUnavailable:
    try:
        return await _read_redis(redis, partitions)
    except StreamUnavailable as error:
        return error


async def _try_postgres(pool: Pool) -> PostgresFacts | StorageUnavailable:
    try:
        return await _read_postgres(pool)
    except StorageUnavailable as error:
        return error


async def _read_redis(redis: Redis, partitions: int) -> RedisFacts:
    places = await groups_of(redis, range(partitions))
    return RedisFacts(
        memory=await memory(redis),
        safety=await safety(redis),
        groups=[
            GroupFacts(
                partition,
                group,
                await measure(redis, partition, group),
                await read_stream_books(redis, partition, group),
            )
            for partition, group in places
        ],
        extents={partition: await measure_extent(redis, partition) for partition in range(partitions)},
        workers=await _read_workers(redis, places),
        fleet=await read_fleet(redis),
        chores=await read_chores(redis),
    )


async def _read_workers(redis: Redis, places: Sequence[tuple[int, str]]) -> list[WorkerFacts]:
    workers: dict[tuple[str, str], WorkerFacts] = {}
    for partition, group in places:
        for one in await list_consumers(redis, partition, group) or ():
            known = workers.get((group, one.name), WorkerFacts(one.name, group, 0, 0, one.idle))
            workers[group, one.name] = WorkerFacts(
                one.name, group, known.partitions + 1, known.pending + one.pending, min(known.idle, one.idle)
            )
    return list(workers.values())


async def _read_postgres(pool: Pool) -> PostgresFacts:
    return PostgresFacts(
        usage=await read_server_usage(pool),
        applications=await read_applications(pool),
        is_led=await is_led(pool),
        dead_letters=await dead_letters.count_waiting(pool),
        last_parked_at=await dead_letters.last_parked_at(pool),
        erasures_open_since=await open_since(pool),
    )
