"""Measures the cost of durability: `python -m bench.durability [--seconds N] [--senders N] [--batch-size N]`.

Uses fresh embedded servers and appends as ingest makes them, all on this machine. A replica on the same machine takes
CPU from its primary, which it would not on another machine. Where WAITAOF answers early (docs/operations.md),
`everysec` looks better than it is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bench.backlog import PSEUDONYM_KEYS, backlog
from ingest.append_queue import AppendQueue
from ingest.server import lanes_of
from runtime.embedded.valkey import Valkey
from runtime.settings import Durability, Settings
from schemas.entry import WireEvent
from stream.entries.producer import Producer
from stream.server.connection import Redis, connect


@dataclass(frozen=True, slots=True)
class Case:
    """A server and a durability level."""

    fsync: Literal["always", "everysec"]
    durability: Durability


CASES: Final = (
    Case("everysec", "server"),
    Case("everysec", "local"),
    Case("everysec", "replica"),
    Case("always", "server"),
    Case("always", "local"),
    Case("always", "replica"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a case."""

    events_per_second: float
    median_ms: float
    worst_ms: float


@contextmanager
def primary(directory: Path, case: Case) -> Iterator[Valkey]:
    """Run a server for the block, with a second server as its replica if the case needs one."""
    with ExitStack() as stack:
        servers = [Valkey(directory / "primary", fsync=case.fsync)]
        if case.durability == "replica":
            servers.append(Valkey(directory / "replica", fsync=case.fsync))
        for server in servers:
            server.start()
            stack.callback(server.stop)
        if case.durability == "replica":
            asyncio.run(follow(servers[1], servers[0]))
        yield servers[0]


def client_of(server: Valkey) -> Redis:
    """Return a client with the settings of a service."""
    return connect(Settings.model_validate({"redis_url": server.url}))


async def follow(replica: Valkey, source: Valkey) -> None:
    """Make `replica` a replica of `source`; return when it is one."""
    ours, theirs = client_of(replica), client_of(source)
    await theirs.config_set("repl-diskless-sync-delay", 0)
    # each server has its own password
    await ours.config_set("masterauth", source.url.partition("://:")[2].partition("@")[0])
    await ours.replicaof("127.0.0.1", str(source.port))
    while (await ours.info("replication"))["master_link_status"] != "up":
        await asyncio.sleep(0.05)
    await ours.aclose()
    await theirs.aclose()


async def measure(
    server: Valkey, durability: Durability, batch: list[WireEvent], seconds: float, senders: int
) -> Result:
    """Append the batch repeatedly from several concurrent senders."""
    redis = client_of(server)
    queue = AppendQueue(Producer(redis, 1, durability), lanes=lanes_of(durability))
    # the replica needs a moment before it can confirm, and Redis has to load the script
    await queue.append(batch)
    waits: list[float] = []
    started = time.perf_counter()

    async def send() -> None:
        while (begun := time.perf_counter()) - started < seconds:
            await queue.append(batch)
            waits.append(time.perf_counter() - begun)

    await asyncio.gather(*(send() for _ in range(senders)))
    elapsed = time.perf_counter() - started
    await redis.aclose()
    waits.sort()
    return Result(len(waits) * len(batch) / elapsed, waits[len(waits) // 2] * 1000, waits[-1] * 1000)


def main() -> None:
    """Measure the cases one after another and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--senders", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=100)
    arguments = parser.parse_args()
    batch = list(backlog(arguments.batch_size, Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS})))
    print(
        f"{arguments.senders} senders, {len(batch):,} events a request, {arguments.seconds:g} s each,"
        f" {os.cpu_count()} cores for everything"
    )
    print(f"{'appendfsync':12}{'durability':12}{'events/s':>10}{'median ms':>11}{'worst ms':>10}")
    for case in CASES:
        with (
            tempfile.TemporaryDirectory(prefix="studyin-analytics-bench-") as place,
            primary(Path(place), case) as server,
        ):
            result = asyncio.run(measure(server, case.durability, batch, arguments.seconds, arguments.senders))
        print(
            f"{case.fsync:12}{case.durability:12}{result.events_per_second:10,.0f}"
            f"{result.median_ms:11.1f}{result.worst_ms:10.1f}"
        )


if __name__ == "__main__":
    main()
