"""Offers ten times the load that the system can process: `python -m bench.overload [--seconds 60] [--times 10]`.

Measures the stored rate when senders wait for their answers, then offers a multiple of it at a constant rate, whatever
the answers. Prints what is stored, the backlog and the memory. Then stops, and waits until the backlog is empty.
Servers, services and senders share this machine, so the senders take CPU from the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.soak.faults import resident_bytes
from bench.system import running
from cli.local import dev_file
from runtime.settings import Settings
from stream.entries.books import read_stream_books
from stream.server.connection import Redis, connect

_BATCH: Final = 250
_EVENT: Final = {"event_type": "xp_earned", "user_id": "learner", "properties": {"xp_amount": 1}}
_BODIES: Final = [json.dumps([_EVENT | {"user_id": f"learner-{n}"}] * _BATCH).encode() for n in range(100)]
_WINDOWS: Final = 6
_PATIENT_SENDERS: Final = 8
_MAX_UNDER_WAY: Final = 200
"""Maximum requests in flight. Requests due beyond it count as offered and refused."""


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Window:
    """A part of the run."""

    stored_per_second: float
    backlog: int
    memory: dict[str, int]


class Load:
    """Sends requests and counts the answers, over bare connections, to take little CPU from the system."""

    def __init__(self, where: dev_file.DevFile, bodies: Sequence[bytes] = _BODIES) -> None:
        """`bodies` are sent one after another."""
        url = urlsplit(where.ingest_url)
        assert url.hostname is not None
        assert url.port is not None
        self.answers: Counter[str] = Counter()
        self.offered = 0
        self._address = (url.hostname, url.port)
        head = (
            "POST /api/analytics/events/batch HTTP/1.1\r\n"
            f"host: {url.netloc}\r\nauthorization: Bearer {where.write_key}\r\ncontent-type: application/json\r\n"
        )
        self._requests = [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
        self._idle: list[Connection] = []

    async def send(self) -> None:
        """Send one batch."""
        self.offered += 1
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        try:
            writer.write(self._requests[self.offered % len(self._requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(_header(head, b"content-length")))
        except (ConnectionError, asyncio.IncompleteReadError):
            self.answers["no answer"] += 1
            writer.transport.abort()
            return
        status = head.split(b" ", 2)[1].decode()
        self.answers[status if status == "202" else json.loads(body)["code"]] += 1
        if _header(head, b"connection") == b"close":
            writer.transport.abort()
        else:
            self._idle.append((reader, writer))

    async def send_patiently(self, over: asyncio.Event) -> None:
        """Send one batch after another."""
        while not over.is_set():
            await self.send()

    async def send_relentlessly(self, per_second: float, over: asyncio.Event) -> None:
        """Send at a constant rate, whatever the answers."""
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not over.is_set():
            due += 1 / per_second
            if len(under_way) < _MAX_UNDER_WAY:
                task = asyncio.create_task(self.send())
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            else:
                self.offered += 1
                self.answers["not sent"] += 1
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*under_way)

    def close(self) -> None:
        """Close every connection."""
        for _, writer in self._idle:
            writer.transport.abort()


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(name + b":"):
            return line.partition(b":")[2].strip()
    return b""


async def observed(redis: Redis, starter: int, seconds: float, windows: int) -> list[Window]:
    """Observe the system for `seconds`; return the figures of each of `windows` parts of that time."""
    seen = []
    before = (await read_stream_books(redis, 0)).settled or 0
    for _ in range(windows):
        started = time.monotonic()
        await asyncio.sleep(seconds / windows)
        books = await read_stream_books(redis, 0)
        settled = books.settled or 0
        rate = (settled - before) / (time.monotonic() - started)
        seen.append(Window(rate, books.appended - settled, resident_bytes(starter)))
        before = settled
    return seen


async def run(data_dir: Path, seconds: float, times: float, workers: int) -> None:
    """Run and print the results."""
    limits = {"ANALYTICS_BATCH_SIZE": "1000", "ANALYTICS_MAX_BACKLOG_EVENTS": "50000", "ANALYTICS_LOG_LEVEL": "warning"}
    async with running(data_dir, workers, **limits) as (process, where):
        redis = connect(Settings.model_validate({"redis_url": where.redis_url}))
        patient, over = Load(where), asyncio.Event()
        tasks = [asyncio.create_task(patient.send_patiently(over)) for _ in range(_PATIENT_SENDERS)]
        [_, usual] = await observed(redis, process.pid, 20, 2)
        over.set()
        await asyncio.gather(*tasks)

        rate = times * usual.stored_per_second
        print(f"senders that wait: {usual.stored_per_second:,.0f} events/s stored; now {rate:,.0f} offered")
        storm, over = Load(where), asyncio.Event()
        task = asyncio.create_task(storm.send_relentlessly(rate / _BATCH, over))
        windows = await observed(redis, process.pid, seconds, _WINDOWS)
        over.set()
        await task
        stopped = time.monotonic()
        while (books := await read_stream_books(redis, 0)).settled != books.appended:
            await asyncio.sleep(0.05)
        print_windows(usual, windows, storm, seconds)
        print(f"nothing waits {time.monotonic() - stopped:.1f} s after the end")
        last = Load(where)
        while not last.answers["202"]:
            await last.send()
        print(f"a batch is accepted {time.monotonic() - stopped:.1f} s after the end")
        for load in (patient, storm, last):
            load.close()
        await redis.aclose()


def print_windows(usual: Window, windows: list[Window], storm: Load, seconds: float) -> None:
    """Print the windows."""
    names = ("ingest", "worker", "Redis")
    print(f"{'second':>6}  {'stored/s':>9}  {'ratio':>5}  {'backlog':>8}  " + "  ".join(f"{n:>9}" for n in names))
    for number, window in enumerate([usual, *windows]):
        at = "before" if not number else f"{seconds / len(windows) * number:.0f}"
        ratio = window.stored_per_second / usual.stored_per_second
        memory = "  ".join(f"{window.memory[name] / 1e6:6.0f} MB" for name in names)
        print(f"{at:>6}  {window.stored_per_second:9,.0f}  {ratio:5.2f}  {window.backlog:8,}  {memory}")
    print(f"offered {storm.offered * _BATCH / seconds:,.0f} events/s; answers: {dict(storm.answers.most_common())}")


def main() -> None:
    """Run and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--times", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="studyin-analytics-overload-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        asyncio.run(run(Path(place), arguments.seconds, arguments.times, arguments.workers))


if __name__ == "__main__":
    main()
