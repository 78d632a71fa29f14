"""Tests Segment's clients in an outage: `python -m bench.segment_outage [--events 10000] [--seconds 20]`.

Runs the whole system and a second ingest. Each official client sends to that ingest, which is killed halfway and stays
away for a while. Prints the numbers that the read service counts at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bench.system import running
from cli.local import dev_file
from cli.local.dev_access import ensure_access
from cli.local.embedded.ports import LOOPBACK, any_free
from runtime.settings import Settings
from stream.entries.books import read_stream_books
from stream.entries.lag import measure
from stream.server.connection import Redis, connect
from tests.clients.official import LEARNERS, Client, node_client, python_client
from tests.support.places import reachable_directory

_OVERVIEW: Final = "/api/analytics/learning/overview"
_BEGUN: Final = 0.2
"""Share of the events that are in the stream when ingest is killed."""
_POLL_SECONDS: Final = 0.02


class Ingest:
    """An ingest that only this benchmark restarts."""

    def __init__(self, data_dir: Path, where: dev_file.DevFile) -> None:
        self._port = any_free()
        self._environment = {
            **os.environ,
            **ensure_access(data_dir / dev_file.ACCESS_NAME, {}).environment(),
            "ANALYTICS_ENVIRONMENT": "dev",
            "ANALYTICS_LOG_LEVEL": "error",
            "ANALYTICS_DRAIN_SECONDS": "0",
            "ANALYTICS_INGEST_PORT": str(self._port),
            "REDIS_URL": where.redis_url,
        }
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"http://{LOOPBACK}:{self._port}"

    async def start(self) -> None:
        """Start it; return when it answers."""
        command = (sys.executable, "-m", "cli.main", "ingest")
        self._process = await asyncio.create_subprocess_exec(*command, env=self._environment)
        async with httpx.AsyncClient() as client:
            while not await _answers(client, f"{self.url}/livez"):
                await asyncio.sleep(_POLL_SECONDS)

    async def end(self, how: signal.Signals) -> None:
        """Send the signal; return when the process has ended."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(how)
            await self._process.wait()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for the events of one client."""

    before: int
    """Number of events appended when ingest was killed."""
    away_seconds: float
    seconds: float
    appended: int
    counted: int


async def endure(client: Client, events: int, seconds: float) -> Outcome:
    """Let a client send to a fresh system through an outage of `seconds`."""
    with reachable_directory() as place:
        async with running(place, 1, ANALYTICS_BATCH_SIZE="1000") as (_, where):
            ingest = Ingest(place, where)
            redis = connect(Settings.model_validate({"redis_url": where.redis_url}))
            await ingest.start()
            try:
                return await _send(client, events, seconds, ingest, where, redis)
            finally:
                await ingest.end(signal.SIGTERM)
                await redis.aclose()


async def _send(
    client: Client, events: int, seconds: float, ingest: Ingest, where: dev_file.DevFile, redis: Redis
) -> Outcome:
    started = time.monotonic()
    sending = asyncio.create_task(client.send(ingest.url, where.write_key, events))
    while await _appended(redis) < events * _BEGUN and not sending.done():
        await asyncio.sleep(_POLL_SECONDS)
    await ingest.end(signal.SIGKILL)
    killed = time.monotonic()
    before = await _appended(redis)
    await asyncio.sleep(seconds)
    await ingest.start()
    back = time.monotonic()
    await sending
    sent = time.monotonic()
    while (await measure(redis, 0)).oldest_unsettled_at is not None:
        await asyncio.sleep(_POLL_SECONDS)
    return Outcome(before, back - killed, sent - started, await _appended(redis), await _counted(where))


async def _appended(redis: Redis) -> int:
    return (await read_stream_books(redis, 0)).appended


async def _counted(where: dev_file.DevFile) -> int:
    """Return the XP of all learners: each event is worth one."""
    counted = 0
    async with httpx.AsyncClient(base_url=where.dashboard_url, headers={"X-API-Key": where.read_key}) as reader:
        for number in range(LEARNERS):
            answer = await reader.get(_OVERVIEW, params={"user_id": f"learner-{number}"})
            counted += answer.raise_for_status().json()["total_xp"]
    return counted


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def main() -> None:
    """Run both clients and print a line for each. Exit code 1 when a count is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    is_wrong = False
    for client in (python_client(), node_client()):
        found = asyncio.run(endure(client, given.events, given.seconds))
        is_wrong |= found.counted != given.events
        print(
            f"{client.name:7} {given.events} sent in {found.seconds:.0f} s; ingest killed after {found.before} and away"
            f" for {found.away_seconds:.0f} s; {found.appended} appended, {found.counted} counted"
        )
    sys.exit(is_wrong)


if __name__ == "__main__":
    main()
