"""Throughput of one ingest process, beside a server that accepts any body and a client that only appends."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import cycle, islice
from typing import Final, Literal

import uvloop

from bench import requests
from bench.backlog import PSEUDONYM_KEYS, backlog
from bench.figures import Figure, Floor, Target
from bench.load import Order, Sent, send
from bench.requests import Requests
from bench.servers import Servers, fresh_servers, ingest, process
from bench.size import Size
from cli.local.embedded.ports import LOOPBACK, any_free
from runtime.settings import Settings
from schemas.entry import ROW, WireEvent, pack
from stream.entries.books import read_stream_books
from stream.entries.producer import Producer
from stream.keys import stream_key
from stream.server.connection import Redis, connect

_CONNECTIONS: Final = 64
_LANES: Final = 4
"""Concurrent pipelines or scripts: a single one would wait for each fsync."""
_FLOOR_EVENTS: Final = 5_000
_CALL: Final = 500
"""Entries per pipeline or script."""

Kind = Literal["XADD", "script"]

_FLOORS: Final[dict[Kind, str]] = {"XADD": "bare pipelined XADD", "script": "stream/entries/append.lua alone"}


async def measure(size: Size) -> list[Figure]:
    """Measure requests with one event, then batches."""
    made = requests.events(size.pool_events)
    single, batches = requests.single(made), requests.batches(made)
    async with fresh_servers() as servers:
        one, one_floors = await _accepted(servers, single, size)
        many, many_floors = await _accepted(servers, batches, size)
    return [
        Figure(
            "append: requests of one event",
            one.counted / one.seconds,
            "/s",
            (one_floors[-1], *one_floors[:-1]),
            Target(8_000, 12_000),
            note=f"the generator took {one.processor:.2f} of a core",
        ),
        Figure(
            "append: events in batches of 100",
            many.counted * batches.events_each / many.seconds,
            "/s",
            many_floors,
            Target(50_000, 90_000),
            Target(0.5, 0.8),
            note=f"the generator took {many.processor:.2f} of a core",
        ),
    ]


async def _accepted(servers: Servers, what: Requests, size: Size) -> tuple[Sent, tuple[Floor, ...]]:
    order = partial(
        Order,
        key=servers.access.write_key,
        requests=what,
        connections=_CONNECTIONS,
        seconds=size.append_seconds,
        warm_seconds=1.0,
    )
    redis = servers.client()
    await redis.unlink(stream_key(0))
    async with ingest(servers) as url:
        sent = await send(order(url))
    sent.require_all_accepted()
    appended = (await read_stream_books(redis, 0)).appended
    if appended != sent.accepted * what.events_each:
        raise RuntimeError(f"{sent.accepted * what.events_each:,} events were accepted, {appended:,} appended")
    floors = []
    for kind, name in _FLOORS.items():
        await redis.unlink(stream_key(0))
        floors.append(Floor(name, await _alone(servers.redis_url, kind, size.floor_seconds)))
    await redis.aclose()
    port = any_free()
    url = f"http://{LOOPBACK}:{port}"
    async with process(("bench.bare_server", str(port)), {}, servers.directory / "bare.log", f"{url}/readyz"):
        bare = await send(order(url, seconds=size.floor_seconds))
    bare.require_all_accepted()
    floors.append(Floor("bare uvicorn, any body", bare.counted * what.events_each / bare.seconds))
    return sent, tuple(floors)


async def _alone(url: str, kind: Kind, seconds: float) -> float:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, _append, url, kind, seconds)


def _append(url: str, kind: Kind, seconds: float) -> float:
    """Append for `seconds` through one client; return the entries per second."""
    events = list(backlog(_FLOOR_EVENTS, Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS})))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_lanes(connect(Settings.model_validate({"redis_url": url})), events, kind, seconds))


async def _lanes(redis: Redis, events: Sequence[WireEvent], kind: Kind, seconds: float) -> float:
    append = _xadd(redis, events) if kind == "XADD" else _script(redis, events)
    await append()
    calls = 0
    over = time.perf_counter() + seconds

    async def lane() -> None:
        nonlocal calls
        while time.perf_counter() < over:
            await append()
            calls += 1

    await asyncio.gather(*(lane() for _ in range(_LANES)))
    elapsed = seconds + time.perf_counter() - over
    await redis.aclose()
    return calls * _CALL / elapsed


def _xadd(redis: Redis, events: Sequence[WireEvent]) -> Callable[[], Awaitable[None]]:
    # encoded in advance, because a floor must do nothing but append
    rows = cycle([pack(event).encode() for event in events])
    key = stream_key(0)

    async def append() -> None:
        async with redis.pipeline(transaction=False) as pipeline:
            for row in islice(rows, _CALL):
                pipeline.execute_command("XADD", key, "*", ROW, row)
            await pipeline.execute()

    return append


def _script(redis: Redis, events: Sequence[WireEvent]) -> Callable[[], Awaitable[None]]:
    producer = Producer(redis, 1)
    calls = cycle([events[start : start + _CALL] for start in range(0, len(events) - _CALL + 1, _CALL)])

    async def append() -> None:
        await producer.append(next(calls))

    return append
