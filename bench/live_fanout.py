"""Measures many live subscribers: `python -m bench.live_fanout [--subscribers N] [--rate N] [--seconds N]`.

Runs fresh embedded servers and the read service as a process, with production settings. Realistic messages are written
to the timeline as the live worker writes them. Each subscriber must receive each message, in order.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from bench.backlog import PSEUDONYM_KEYS, backlog
from runtime.embedded.ports import LOOPBACK, any_free
from runtime.embedded.postgres import Postgres
from runtime.embedded.valkey import Valkey
from runtime.settings import Settings
from schemas.live import message_tail
from storage.database.migrate import upgrade
from stream.keys import LIVE_STATE, TIMELINE
from stream.server.connection import Redis, connect

KEY = secrets.token_urlsafe(32)
TICK_SECONDS = 0.02
PATIENCE_SECONDS = 20


async def publish(redis: Redis, tails: list[str], rate: int) -> list[int]:
    """Publish messages at a constant rate; return their ids."""
    ids: list[int] = []
    started = time.perf_counter()
    while len(ids) < len(tails):
        due = min(len(tails), int((time.perf_counter() - started) * rate))
        if due > len(ids):
            now = max(time.time_ns() // 1_000, ids[-1] + 1 if ids else 0)
            fresh = range(now, now + due - len(ids))
            async with redis.pipeline(transaction=True) as pipeline:
                if not ids:
                    pipeline.hset(LIVE_STATE, "floor", now - 1)
                for one, tail in zip(fresh, tails[len(ids) : due], strict=True):
                    pipeline.zadd(TIMELINE, {f'{{"id":"{one}",{tail}': one})
                pipeline.hset(LIVE_STATE, "last", fresh[-1])
                await pipeline.execute()
            ids += fresh
        await asyncio.sleep(TICK_SECONDS)
    return ids


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    """Return the peak memory of a process, in megabytes."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


async def fan_out(directory: Path, subscribers: int, rate: int, seconds: int) -> dict[str, Any]:
    """Return what the subscribers received, and the cost."""
    redis_server, postgres_server = Valkey(directory / "redis"), Postgres(directory / "postgres")
    redis_server.start()
    postgres_server.start()
    port = any_free()
    servers = {"REDIS_URL": redis_server.url, "DATABASE_URL": postgres_server.url}
    environment = (
        os.environ
        | servers
        | {
            "ANALYTICS_PSEUDONYM_KEYS": PSEUDONYM_KEYS,
            "ANALYTICS_API_KEYS": json.dumps([{"source": "bench", "key": KEY, "scopes": ["events:read"]}]),
            "ANALYTICS_DASHBOARD_PORT": str(port),
            "ANALYTICS_LIVE_MAX_PER_CALLER": "0",
            "ANALYTICS_LIVE_MAX_PER_ADDRESS": "0",
        }
    )
    settings = Settings.model_validate(
        {"redis_url": redis_server.url, "database_url": postgres_server.url, "pseudonym_keys": PSEUDONYM_KEYS}
    )
    count = rate * seconds
    tails = [message_tail(event) for event in islice(backlog(2 * count, settings), count)]
    service = load = None
    try:
        await upgrade(postgres_server.url)
        service = await asyncio.create_subprocess_exec(sys.executable, "-m", "cli.main", "dashboard", env=environment)
        await _ready(port)
        load = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.live_subscribers", "--port", str(port), "--key", KEY),
            *("--count", str(subscribers), "--expected", str(count), "--seconds", str(seconds + PATIENCE_SECONDS)),
            stdout=asyncio.subprocess.PIPE,
            limit=2**30,
        )
        assert load.stdout is not None
        assert await load.stdout.readline() == b"ready\n"
        redis = connect(settings)
        cpu, started = cpu_seconds(service.pid), time.perf_counter()
        ids = await publish(redis, tails, rate)
        took = time.perf_counter() - started
        found: dict[str, Any] = json.loads(await load.stdout.readline())
        found |= {
            "expected": count * subscribers,
            "exact": all(one == ids for one in found.pop("ids")),
            "publish_seconds": round(took, 1),
            "cpu_of_service": round((cpu_seconds(service.pid) - cpu) / (time.perf_counter() - started), 2),
            "megabytes_of_service": round(resident_megabytes(service.pid)),
            "bytes_per_message": sum(map(len, tails)) // count,
        }
        await redis.aclose()
    finally:
        for process in (load, service):
            if process is not None and process.returncode is None:
                process.terminate()
                await process.wait()
        redis_server.stop()
        postgres_server.stop()
    return found


async def _ready(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


def main() -> None:
    """Run once and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="studyin-analytics-bench-") as place:
        Path(place).chmod(0o711)
        found = asyncio.run(fan_out(Path(place), arguments.subscribers, arguments.rate, arguments.seconds))
    p50, p95, p99 = found["ages_ms"]
    print(
        f"{found['received']:,} of {found['expected']:,} messages received, {found['complete']:,} of"
        f" {arguments.subscribers:,} subscribers have exactly every one; in order: {found['exact']}"
        f" ({found['disorder']} frames out of order), other frames: {found['notices'] or 'none'}\n"
        f"from publication to receipt: p50 {p50} ms, p95 {p95} ms, p99 {p99} ms\n"
        f"read service: {found['cpu_of_service']:.0%} of a core, {found['megabytes_of_service']} MB at most,"
        f" {found['frames']:,} frames of {found['received'] / found['frames']:.0f} messages\n"
        f"{found['bytes_per_message']} bytes a message, {arguments.rate}/s for {found['publish_seconds']} s;"
        f" {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores for everything"
    )


if __name__ == "__main__":
    main()
