"""Measures the rate that the whole system sustains, and the latency of an event.

Runs everything that `analytics up` runs, with batches of 1,000: ingest, store workers, one live worker, maintenance,
the read service and both servers, with the generator on the same machine. A rate is held if nothing is refused and
less than a second of events waits at the end.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from bench import bare_pipeline, requests
from bench.bare_pipeline import Bare
from bench.bare_way import ways
from bench.cost import of_bare, of_processor
from bench.figures import Figure, Floor, Target
from bench.live_latency import listen, result_of
from bench.load import Order, Sent, send
from bench.memory import peaks_of_children
from bench.processor import seconds_of_children
from bench.requests import Requests
from bench.servers import BATCH_SIZE, fresh_directory, verify
from bench.settled import POLL_SECONDS, Poll, backlog_at, latencies, percentile, watched
from bench.size import Size
from bench.system import running
from cli.local.dev_file import DevFile
from runtime.settings import Settings
from storage.batches.verify import read_books
from stream.entries.lag import measure as measure_lag
from stream.keys import LIVE_GROUP
from stream.server.connection import Redis, connect

_STEPS: Final = (1_000, 2_000, 4_000, 6_000, 8_000, 10_000, 12_000, 15_000, 18_000, 22_000, 27_000, 33_000, 40_000)
_LATENCY_RATE: Final = 2_000
_CONNECTIONS: Final = 64
_TRIES: Final = 2
"""Number of short runs per rate: a single disturbed run would end the search."""

_SHARES: Final = (0.5, 0.95, 0.99)
_HELD: Final = Target(10_000, 20_000)
_STORED: Final = Target(250, 100)
_PUBLISHED: Final = Target(100, 30)
_MEMORY: Final = Target(150, 100)
_REMEMBERING: Final = ("ingest", "worker")


async def measure(size: Size) -> list[Figure]:
    """Measure the latency once, and the sustained rate with each number of store workers."""
    bare = await bare_pipeline.measure(size.pool_events)
    made = requests.events(size.pool_events)
    small, large = requests.batches(made, 10), requests.batches(made, 100)
    figures = of_bare("end-to-end", bare)
    first_probe = size.first_probe
    for workers in size.workers:
        with fresh_directory() as data_dir:
            limits = {"ANALYTICS_BATCH_SIZE": str(BATCH_SIZE), "ANALYTICS_LOG_LEVEL": "warning"}
            async with running(data_dir, workers, **limits) as (process, where):
                redis = connect(Settings.model_validate({"redis_url": where.redis_url}))
                system = _System(where, redis, process.pid)
                if workers == size.workers[0]:
                    figures += await _latency(system, small, size.latency_seconds)
                held, details = await _held(system, large, size, workers, first_probe, bare)
                first_probe = max(first_probe, held.value)
                figures += [held, *details]
                await redis.aclose()
                await verify(data_dir, system.accepted)
    return figures


@dataclass
class _System:
    where: DevFile
    redis: Redis
    pid: int
    """Process id of `analytics up`. Its children do the work."""
    accepted: int = field(default=0)
    """Number of events accepted in all runs."""

    async def offer(self, what: Requests, rate: float, seconds: float) -> _Offered:
        """Send events at a rate; return when all are stored and published."""
        order = Order(
            self.where.ingest_url,
            self.where.write_key,
            what,
            _CONNECTIONS,
            seconds,
            warm_seconds=1.0,
            per_second=rate / what.events_each,
        )
        before = seconds_of_children(self.pid)
        async with watched(self.redis) as polls:
            sent = await send(order)
        # otherwise the rest of this rate would be published while the next one is measured
        while (lag := await measure_lag(self.redis, 0, LIVE_GROUP)).pending or lag.undelivered:
            await asyncio.sleep(POLL_SECONDS)
        after = seconds_of_children(self.pid)
        accepted = sent.accepted * what.events_each
        self.accepted += accepted
        spent = {part: (after[part] - before.get(part, 0.0)) / max(1, accepted) for part in after}
        return _Offered(rate, seconds, what.events_each, sent, polls, spent)


@dataclass(frozen=True)
class _Offered:
    rate: float
    seconds: float
    events_each: int
    sent: Sent
    polls: Sequence[Poll]
    spent: Mapping[str, float]
    """Processor time of each part per event, in seconds."""

    @property
    def backlog(self) -> int:
        """Events that were due and not stored at the end."""
        return self.sent.unanswered * self.events_each + backlog_at(self.polls, self.sent.ended_at)

    @property
    def is_held(self) -> bool:
        """Whether nothing was refused, and less than a second of the rate waited at the end."""
        return set(self.sent.answers) == {"202"} and self.backlog < self.rate

    def stored(self) -> list[float]:
        """Return the seconds from append to stored, for events within the measured time."""
        return latencies(self.polls, self.sent.ended_at - self.seconds, self.sent.ended_at)


async def _held(
    system: _System, what: Requests, size: Size, workers: int, first_probe: float, bare: Bare
) -> tuple[Figure, list[Figure]]:
    """Find the highest step that short runs hold, then the highest from there down that a long run holds."""
    steps = [step for step in _STEPS if step < first_probe]
    for step in _STEPS[len(steps) :]:
        if not await _is_held(system, what, step, size.probe_seconds):
            break
        steps.append(step)
    held = None
    while steps and not (held := await system.offer(what, steps.pop(), size.held_seconds)).is_held:
        held = None
    of = f"{workers} worker{'s' if workers > 1 else ''}"
    name = f"whole system: held {size.held_seconds:.0f} s, {of}"
    if held is None:
        return Figure(name, 0.0, "/s", target=_HELD, note="not even the lowest step was held"), []
    note = f"{held.backlog:,} events waited at the end; the generator took {held.sent.processor:.2f} of a core"
    return Figure(name, held.rate, "/s", target=_HELD, note=note), [
        *_percentiles(f"held, {of}: accepted to stored", held.stored()),
        *_percentiles(f"held, {of}: due to answered", sorted(held.sent.times)),
        *_memory(f"held, {of}", peaks_of_children(system.pid)),
        *of_processor(f"held, {of}", held.spent, bare),
    ]


async def _is_held(system: _System, what: Requests, rate: float, seconds: float) -> bool:
    for _ in range(_TRIES):
        if (await system.offer(what, rate, seconds)).is_held:
            return True
    return False


async def _latency(system: _System, what: Requests, seconds: float) -> list[Figure]:
    """Measure at a constant rate the time from append to stored, and from received to delivered to a subscriber."""
    context = multiprocessing.get_context("spawn")
    ready, over = context.Event(), context.Event()
    results: multiprocessing.Queue[list[float]] = context.Queue()
    listener = context.Process(target=listen, args=(system.where.redis_url, ready, results, over))
    listener.start()
    await asyncio.to_thread(ready.wait)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        bare_stored, bare_published = await asyncio.get_running_loop().run_in_executor(
            pool, ways, system.where.redis_url, system.where.database_url
        )
    offered = await system.offer(what, _LATENCY_RATE, seconds)
    over.set()
    published = await asyncio.to_thread(result_of, results, listener)
    offered.sent.require_all_accepted()
    stored = await _stored(system.where)
    if len(published) != stored:
        raise RuntimeError(f"{stored:,} events were stored, {len(published):,} published")
    at = f"{_LATENCY_RATE:,}/s"
    stored_floor, published_floor = ("bare XADD, COPY", bare_stored), ("bare XADD, PUBLISH", bare_published)
    return [
        *_percentiles(f"{at}: accepted to stored", offered.stored(), _STORED, stored_floor),
        *_percentiles(f"{at}: accepted to published", sorted(published), _PUBLISHED, published_floor),
    ]


async def _stored(where: DevFile) -> int:
    connection = await asyncpg.connect(where.database_url)
    books = await read_books(connection)
    await connection.close()
    return books[0].stored


def _memory(name: str, peaks: Mapping[str, int]) -> list[Figure]:
    """Return a figure for each service. The peak may come from higher rates that were tried before."""
    return [Figure(f"{name}: memory of {of}", peaks[of] / 1e6, "MB", target=_MEMORY) for of in _REMEMBERING if peaks]


def _percentiles(
    name: str,
    ordered: Sequence[float],
    target: Target | None = None,
    floor: tuple[str, Sequence[float]] | None = None,
) -> list[Figure]:
    """Return a figure for each percentile, beside the same percentile of the floor; the last one has the target."""
    return [
        Figure(
            f"{name}, p{share * 100:g}",
            percentile(ordered, share) * 1_000,
            "ms",
            (Floor(floor[0], percentile(floor[1], share) * 1_000),) if floor else (),
            target if share == _SHARES[-1] else None,
        )
        for share in _SHARES
    ]
