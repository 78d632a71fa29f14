"""Processor time and bytes of an event in the whole system at a fixed rate, the time beside that of the bare way.

Sees the system from outside alone: HTTP, the processor time of its processes, its books and the counters of Redis. So
it also measures the code of another tree, in the same way: `python -m bench.cost --tree DIRECTORY`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg

from bench import bare_pipeline, requests
from bench.bare_pipeline import Bare, is_redis
from bench.figures import Figure, Floor, Run
from bench.load import Order, Sent, send
from bench.machine import describe
from bench.processor import seconds_of_children
from bench.requests import Requests
from bench.servers import BATCH_SIZE, fresh_directory, verify
from bench.size import SIZES, Size
from bench.system import running
from bench.tree import THIS, Tree
from cli.local.dev_file import DevFile
from runtime.settings import Settings
from stream.server.connection import Redis, connect

_CONNECTIONS: Final = 64
_WARM_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 120.0
"""How long the system may take to process what waits at the end."""

_BOOKS: Final = """
SELECT coalesce(sum(stored), 0)::bigint,
       coalesce(sum(stored + duplicate + suppressed + dead_lettered), 0)::bigint
FROM batch_books
"""


async def measure(size: Size, tree: Tree = THIS) -> list[Figure]:
    """Measure the system of `tree`. Raises RuntimeError if an event is refused, or never stored or published."""
    bare_before = await bare_pipeline.measure(size.pool_events)
    what = requests.batches(requests.events(size.pool_events))
    with fresh_directory() as data_dir:
        limits = {"ANALYTICS_BATCH_SIZE": str(BATCH_SIZE), "ANALYTICS_LOG_LEVEL": "warning"}
        async with (
            running(data_dir, size.workers[-1], tree, **limits) as (process, where),
            _connected(where) as system,
        ):
            empty = await system.bytes()
            await system.offer(what, size.cost_rate, _WARM_SECONDS)
            warm, before = system.accepted, seconds_of_children(process.pid)
            sent = await system.offer(what, size.cost_rate, size.cost_seconds)
            after = seconds_of_children(process.pid)
            full = await system.bytes()
            await verify(data_dir, system.accepted, tree=tree)
    # the machine may have become slower meanwhile
    bare = bare_before.mean(await bare_pipeline.measure(size.pool_events))
    name = f"cost at {size.cost_rate:,.0f}/s"
    spent = {part: (after[part] - before[part]) / (system.accepted - warm) for part in before}
    late = sent.unanswered * what.events_each
    note = f"{late:,} events had no answer at the end: the rate was not held" if late >= size.cost_rate else ""
    return [
        *of_processor(name, spent, bare, note),
        *of_bare(name, bare),
        Figure(f"{name}: memory of Redis, an event", (full.redis - empty.redis) / system.accepted, "B"),
        Figure(f"{name}: disk of Postgres, an event", (full.postgres - empty.postgres) / system.accepted, "B"),
    ]


def of_processor(name: str, spent: Mapping[str, float], bare: Bare, note: str = "") -> list[Figure]:
    """Return a figure for the whole system, its ratio being the cost ratio, and for each part, the largest first.

    `spent` is the processor time of each part per event, in seconds. Empty without parts.
    """
    if not spent:
        return []
    whole = Figure(
        f"{name}: processor of the whole system, an event",
        sum(spent.values()) * 1e6,
        "us",
        (Floor("bare way", bare.total * 1e6),),
        note=note,
    )
    return [whole, *(_part(name, part, spent[part], bare) for part in sorted(spent, key=lambda part: -spent[part]))]


def _part(name: str, part: str, seconds: float, bare: Bare) -> Figure:
    floor = bare.redis if is_redis(part) else bare.postgres if part == "postgres" else None
    floors = () if floor is None else (Floor(f"{part} of the bare way", floor * 1e6),)
    return Figure(f"{name}: processor of {part}, an event", seconds * 1e6, "us", floors)


def of_bare(name: str, bare: Bare) -> list[Figure]:
    """Return a figure for each part of the bare way."""
    parts = {"Redis": bare.redis, "Postgres": bare.postgres, "the client": bare.client}
    return [Figure(f"{name}: bare way, processor of {part}", spent * 1e6, "us") for part, spent in parts.items()]


class _Bytes(NamedTuple):
    redis: int
    postgres: int


@dataclass
class _System:
    where: DevFile
    redis: Redis
    database: asyncpg.Connection
    accepted: int = field(default=0)
    """Number of events accepted so far."""

    async def bytes(self) -> _Bytes:
        used = (await self.redis.info("memory"))["used_memory"]
        return _Bytes(used, await self.database.fetchval("SELECT pg_database_size(current_database())"))

    async def offer(self, what: Requests, rate: float, seconds: float) -> Sent:
        """Send events at a rate; return when all are stored and published."""
        where, per_second = self.where, rate / what.events_each
        sent = await send(Order(where.ingest_url, where.write_key, what, _CONNECTIONS, seconds, per_second=per_second))
        sent.require_all_accepted()
        self.accepted += sent.accepted * what.events_each
        deadline = time.monotonic() + _LONGEST_SECONDS
        while (found := await self._progress()) != (self.accepted, 0):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.accepted:,} accepted; settled, and not published: {found}")
            await asyncio.sleep(_POLL_SECONDS)
        return sent

    async def _progress(self) -> tuple[int, int]:
        """Return the number of settled entries, and of stored events that are not published yet."""
        [(stored, settled)] = await self.database.fetch(_BOOKS)
        # the server counts the calls of scripts too
        publish = (await self.redis.info("commandstats")).get("cmdstat_publish", {"calls": 0})
        return settled, max(0, stored - publish["calls"])


@asynccontextmanager
async def _connected(where: DevFile) -> AsyncIterator[_System]:
    redis = connect(Settings.model_validate({"redis_url": where.redis_url}))
    database = await asyncpg.connect(where.database_url)
    yield _System(where, redis, database)
    await database.close()
    await redis.aclose()


def main() -> None:
    """Measure, and write the figures to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, default=THIS.root, help="directory of the code to measure")
    parser.add_argument("--python", default=sys.executable, help="Python that has the requirements of that code")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--rate", type=float, help="events per second")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    given = parser.parse_args()
    tree, size = Tree(given.tree.absolute(), given.python), SIZES[given.size]
    machine = describe(tree) | {"size": given.size}
    figures = asyncio.run(measure(replace(size, cost_rate=given.rate or size.cost_rate), tree))
    given.json.write_text(Run(machine, tuple(figures)).to_json())


if __name__ == "__main__":
    main()
