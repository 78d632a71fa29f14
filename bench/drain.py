"""How fast store workers drain a backlog: `python -m bench.drain [--events N] [--batch-size N] [--workers N]`.

Fresh embedded servers with production settings; realistic demo events of all types, 5 % duplicates among them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from cli.demo_traffic import demo_events
from ingest.accept import Acceptance, accept
from ingest.server import acceptance_policy
from runtime.embedded.postgres import Postgres
from runtime.embedded.valkey import Valkey
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.events import EVENT
from storage.migrate import upgrade
from stream.connection import connect
from stream.groups import ensure_group
from stream.keys import STORE_GROUP
from stream.lag import measure
from stream.producer import Producer

PSEUDONYM_KEYS = f"1:{secrets.token_hex(32)}"


def backlog(count: int, settings: Settings) -> Iterator[AcceptedEvent]:
    """Yield accepted demo events of 10,000 learners."""
    now = datetime.now(UTC)
    policy = acceptance_policy(settings)
    for raw in demo_events(seed=1, users=10_000, count=count, now=now, history_days=30):
        accepted = accept(EVENT.validate_python(raw, strict=False), policy, "bench", now)
        assert isinstance(accepted, Acceptance), accepted
        yield accepted.event


async def drain(directory: Path, events: int, batch_size: int, workers: int) -> float:
    """Return the events per second, from the first read to the last acknowledgement."""
    redis_server, postgres_server = Valkey(directory / "redis"), Postgres(directory / "postgres")
    redis_server.start()
    postgres_server.start()
    try:
        await upgrade(postgres_server.url)
        settings = Settings.model_validate(
            {"redis_url": redis_server.url, "database_url": postgres_server.url, "pseudonym_keys": PSEUDONYM_KEYS}
        )
        redis = connect(settings)
        await ensure_group(redis, 0, STORE_GROUP)
        source = backlog(events, settings)
        while page := list(islice(source, 1_000)):
            await Producer(redis, 1).append(page)
        environment = os.environ | {
            "REDIS_URL": redis_server.url,
            "DATABASE_URL": postgres_server.url,
            "ANALYTICS_BATCH_SIZE": str(batch_size),
        }
        command = [sys.executable, "-m", "cli.main", "worker"]
        processes = [await asyncio.create_subprocess_exec(*command, env=environment) for _ in range(workers)]
        while not (await measure(redis, 0)).pending:
            await asyncio.sleep(0.001)
        started = time.perf_counter()
        while (lag := await measure(redis, 0)).pending or lag.undelivered:
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - started
        for process in processes:
            process.terminate()
        for process in processes:
            await process.wait()
        await redis.aclose()
    finally:
        redis_server.stop()
        postgres_server.stop()
    return events / seconds


def main() -> None:
    """Run once and print the rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--batch-size", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="studyin-analytics-bench-") as place:
        Path(place).chmod(0o711)
        rate = asyncio.run(drain(Path(place), arguments.events, arguments.batch_size, arguments.workers))
    print(
        f"{rate:,.0f} events/s: {arguments.events:,} events, {arguments.workers} worker(s),"
        f" batches of {arguments.batch_size:,}, {os.cpu_count()} cores for everything"
    )


if __name__ == "__main__":
    main()
