"""Measures the chores of maintenance on a filled database, and what they cost a worker.

`python -m bench.maintenance [--events N] [--rate R]`

A worker stores events all the time. Each chore runs while it does; the ratio is its throughput during the chore to that
in the seconds before and after it. With a rate, events arrive at that rate: below 1, the worker does not keep up. With
rate 0 events wait all the time, and a chore takes what it uses of the processors from the worker.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from bench.backlog import PSEUDONYM_KEYS, backlog
from bench.fill import fill, make_base
from bench.servers import Servers, fresh_servers, worker
from processors.maintenance.erasure import carry_out
from runtime.clock import utc_now
from runtime.settings import Settings
from schemas.entry import WireEvent
from schemas.identifiers import unix_milliseconds
from storage.answers.summary import refresh
from storage.batches.verify import TableDrift, verify_aggregates
from storage.batches.verify_parts import verify_due
from storage.database.pool import Pool, open_pool
from storage.losses import measure_losses, record_loss
from storage.privacy.erasure import request_erasure
from storage.retention.retirement import retire_weeks
from stream.entries.lag import measure as measure_lag
from stream.entries.producer import Producer
from stream.server.connection import Redis

_EVENTS: Final = 10_000_000
_RATE: Final = 2_000
_DISTINCT: Final = 50_000
_CALL: Final = 1_000
"""Events of one append without a rate."""

_CALLS_PER_SECOND: Final = 20
"""Appends with a rate."""

_MOST_WAITING: Final = 20_000
_POLL_SECONDS: Final = 0.02
_ALONE_SECONDS: Final = 5.0
_SHORTEST_SECONDS: Final = 5.0
"""A chore that takes less is repeated, so that the throughput during it can be measured."""

_LONG_SECONDS: Final = 2.0

_RETENTION: Final = timedelta(days=1)
"""Raw retention of the retirement: weeks that ended 15 days ago or earlier expire."""
_LONGEST: Final = timedelta(hours=2)
_ERASED: Final = 10
_PARTITION: Final = 0

_STORED: Final = "SELECT coalesce(sum(stored), 0)::bigint FROM batch_books"
_LEARNERS: Final = "SELECT user_hash FROM gamification_stats ORDER BY event_count DESC LIMIT $1"


class Measured(NamedTuple):
    """A chore that was measured."""

    name: str
    seconds: float
    """Duration of one run."""
    per_second: float
    """Events that the worker stored per second meanwhile."""
    alone_per_second: float
    """The same without a chore, before and after."""
    outcome: str
    is_long: bool
    """Whether it took long enough to compare the throughput."""


class Bench:
    """A system with a worker that never waits for events."""

    def __init__(self, pool: Pool, redis: Redis) -> None:
        self.pool = pool
        self.redis = redis

    async def measured(self, name: str, chore: Callable[[], Awaitable[str]], *, once: bool = True) -> Measured:
        """Run a chore, repeatedly unless `once`, and measure the worker before, meanwhile and after."""
        alone = await self._alone()
        before, started, runs = await self._stored(), time.perf_counter(), 0
        while True:
            outcome = await chore()
            runs += 1
            seconds = time.perf_counter() - started
            if once or seconds >= _SHORTEST_SECONDS:
                break
        per_second = (await self._stored() - before) / seconds
        return Measured(
            name, seconds / runs, per_second, (alone + await self._alone()) / 2, outcome, seconds >= _LONG_SECONDS
        )

    async def _alone(self) -> float:
        before = await self._stored()
        await asyncio.sleep(_ALONE_SECONDS)
        return (await self._stored() - before) / _ALONE_SECONDS

    async def _stored(self) -> int:
        stored: int = await self.pool.fetchval(_STORED)
        return stored

    async def retire(self) -> str:
        """Retire the weeks that are past a short retention."""
        return f"{await retire_weeks(self.pool, utc_now(), _RETENTION):,} events"

    async def verify_all(self) -> str:
        """Compare everything in one snapshot, as `analytics verify` does."""
        async with self.pool.acquire() as connection:
            return _told(await verify_aggregates(connection, utc_now(), timedelta(days=30)))

    async def verify_night(self) -> str:
        """Compare what is due at night: every day the first time."""
        now = utc_now()
        return _told(await verify_due(self.pool, now, now, timedelta(days=40), timedelta(days=30)))

    async def refresh_summary(self) -> str:
        """Refresh the hourly summary."""
        await refresh(self.pool)
        return f"{await self.pool.fetchval('SELECT count(*) FROM hourly_analytics_summary')} hours"

    async def lose(self, after: str) -> None:
        """Record a loss of the entries since `after`."""
        before = f"{unix_milliseconds(utc_now())}-0"
        await record_loss(
            self.pool, _PARTITION, 1, after=after, before=before, appended=1, last_id=before, first_id=before
        )

    async def measure_losses(self) -> str:
        """Count again what the losses affected."""
        return f"{await measure_losses(self.pool, utc_now())} losses"

    async def erase(self) -> str:
        """Erase the busiest learners from the database, and from the stream as far as it is settled."""
        for row in await self.pool.fetch(_LEARNERS, _ERASED):
            await request_erasure(self.pool, [row["user_hash"]], "bench")
        done = await carry_out(self.redis, self.pool, [_PARTITION])
        return f"{done} of {_ERASED} done"


def _told(drifts: Sequence[TableDrift]) -> str:
    if any(not drift.is_clean for drift in drifts):
        raise RuntimeError("the aggregates differ from the raw events")
    return f"{sum(drift.rows for drift in drifts):,} rows"


async def run(events: int, rate: int, console: Console) -> list[Measured]:
    """Fill a database and measure each chore on it. Raises RuntimeError when a chore finds a difference."""
    async with fresh_servers() as servers:
        seconds = await fill(servers, make_base(events), events)
        console.print(f"filled {events:,} events in {seconds:,.0f} s", highlight=False)
        async with _busy(servers, rate) as bench:
            return await _measure(bench, console)


async def _measure(bench: Bench, console: Console) -> list[Measured]:
    found: list[Measured] = []

    async def measure(name: str, chore: Callable[[], Awaitable[str]], *, once: bool = True) -> None:
        found.append(await bench.measured(name, chore, once=once))
        console.print(f"{name}: {found[-1].seconds:,.2f} s, {found[-1].per_second:,.0f}/s stored", highlight=False)

    await measure("summary, first", bench.refresh_summary)
    await measure("summary", bench.refresh_summary, once=False)
    await bench.lose(f"{unix_milliseconds(utc_now() - timedelta(minutes=1))}-0")
    await measure("losses, of a minute", bench.measure_losses, once=False)
    await bench.lose("0-0")
    await measure("losses, of everything", bench.measure_losses, once=False)
    await measure("verify, all", bench.verify_all)
    await measure("verify, first night", bench.verify_night)
    await measure("verify, later night", bench.verify_night, once=False)
    await measure("erasure", bench.erase)
    await measure("retirement", bench.retire)
    return found


@asynccontextmanager
async def _busy(servers: Servers, rate: int) -> AsyncIterator[Bench]:
    """Run a worker for the block, with events at the rate per second; 0: with a backlog that never ends."""
    settings = Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS})
    events = list(backlog(_DISTINCT, settings, days=1))
    redis = servers.client()
    pool = await open_pool(
        servers.database_url, size=3, application_name="bench-maintenance", statement_timeout=_LONGEST
    )
    async with worker(servers):
        feeding = asyncio.create_task(_feed(redis, events, rate))
        try:
            while not await pool.fetchval(f"SELECT count(*) FROM ({_STORED}) AS books"):
                await asyncio.sleep(_POLL_SECONDS)
            yield Bench(pool, redis)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await pool.close()
            await redis.aclose()


async def _feed(redis: Redis, events: Sequence[WireEvent], rate: int) -> None:
    producer = Producer(redis, 1)
    numbers = itertools.count()
    size = rate // _CALLS_PER_SECOND if rate else _CALL
    due = time.perf_counter()
    for start in itertools.cycle(range(0, len(events) - size + 1, size)):
        due += 1 / _CALLS_PER_SECOND
        if rate:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        else:
            await _until_few_wait(redis)
        await producer.append([_again(event, next(numbers)) for event in events[start : start + size]])


async def _until_few_wait(redis: Redis) -> None:
    while ((lag := await measure_lag(redis, _PARTITION)).undelivered or 0) + lag.pending > _MOST_WAITING:
        await asyncio.sleep(_POLL_SECONDS)


def _again(event: WireEvent, number: int) -> WireEvent:
    """Return the event as another one, with an id of its own and the time of its id."""
    return event._replace(event_id=f"{event.event_id[:14]}7000-8000-{number:012x}")


def show(found: Sequence[Measured], console: Console) -> None:
    """Print the chores, each beside the throughput without any."""
    table = Table("chore", "seconds", "stored/s", "ratio", "outcome")
    for each in found:
        table.add_row(
            each.name,
            f"{each.seconds:,.2f}",
            f"{each.per_second:,.0f}",
            f"{each.per_second / each.alone_per_second:.2f}" if each.is_long else "",
            each.outcome,
        )
    console.print(table)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=_EVENTS, help="stored events before the chores run")
    parser.add_argument("--rate", type=int, default=_RATE, help="events per second meanwhile; 0: as many as are stored")
    given = parser.parse_args()
    console = Console(width=110)
    show(asyncio.run(run(given.events, given.rate, console)), console)


if __name__ == "__main__":
    main()
