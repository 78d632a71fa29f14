"""A load generator in a process of its own: bare keep-alive connections, to leave the processor to what is measured.

With a rate it is open-loop: requests are due at constant intervals, however the answers are, and the time of each
counts from the moment it was due. Without one, each connection sends as soon as it was answered.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import re
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

import uvloop

from bench.requests import MARK

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PATIENCE_SECONDS: Final = 10.0
_SERIES: Final = itertools.count(1)


class Sendable(Protocol):
    """Requests to send one after the other, and again from the first."""

    @property
    def good(self) -> str:
        """The status of an answer that counts."""

    def encoded(self, host: str, key: str) -> list[bytes]:
        """Return each request as it goes over the wire; MARK in it becomes another number each time."""


@dataclass(frozen=True)
class Order:
    """What to send."""

    url: str
    key: str
    requests: Sendable
    connections: int
    seconds: float
    """How long, after the warm-up."""
    warm_seconds: float = 0.0
    """How long before what is counted."""
    per_second: float | None = None
    """Requests; None: as many as are answered."""
    most: int | None = None
    """Requests; None: as many as there is time for."""
    late_seconds: float = 1.0
    """How long after the end of an open loop what was due may still be sent."""
    series: int = field(default_factory=lambda: next(_SERIES) % 0x10000)
    """Tells the ids of this order from those of others."""


@dataclass
class Sent:
    """What came of it."""

    good: str
    """The status of an answer that counts."""
    answers: Counter[str] = field(default_factory=Counter)
    """By status, of the whole order."""
    counted: int = 0
    """Good answers within the seconds that count."""
    seconds: float = 0.0
    unanswered: int = 0
    """Requests that were due and not answered at the end of the seconds."""
    began_at: float = 0.0
    """Unix time of the first request."""
    ended_at: float = 0.0
    """Unix time of the end of an open loop."""
    times: list[float] = field(default_factory=list)
    """Seconds from due to a good answer, whenever it came, of what was due within the seconds of an open loop."""
    failed: int = 0
    """Requests of those that had another answer."""
    processor: float = 0.0
    """Share of a core the generator took."""

    @property
    def accepted(self) -> int:
        """Requests with a good answer."""
        return self.answers[self.good]

    def require_all_accepted(self) -> None:
        """Raise unless every answer was good: a number of anything else is none."""
        if set(self.answers) != {self.good}:
            raise RuntimeError(f"not everything was answered {self.good}: {dict(self.answers)}")


async def send(order: Order) -> Sent:
    """Send from a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, _run, order)


def _run(order: Order) -> Sent:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Generator(order).run())


class _Generator:
    def __init__(self, order: Order) -> None:
        self._order = order
        url = urlsplit(order.url)
        assert url.hostname is not None
        assert url.port is not None
        self._address = (url.hostname, url.port)
        self._requests = order.requests.encoded(url.netloc, order.key)
        self._sent = Sent(order.requests.good)
        self._begun = 0
        self._ended = 0
        self._due = 0
        # the one that idled longest is next, so that all are in use
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[float] = deque()
        self._counts_from = self._counts_to = 0.0
        self._all_ended = asyncio.Event()
        self._is_over = False
        self._connecting: set[asyncio.Task[None]] = set()

    async def run(self) -> Sent:
        """Do all of it."""
        order = self._order
        for _ in range(order.connections):
            await self._connect()
        processor = time.process_time()
        self._sent.began_at = time.time()
        self._counts_from = time.perf_counter() + order.warm_seconds
        self._counts_to = self._counts_from + order.seconds
        if order.per_second is None:
            while self._idle and self._may_begin():
                self._begin(time.perf_counter())
            await asyncio.wait_for(self._all_ended.wait(), order.warm_seconds + order.seconds + _PATIENCE_SECONDS)
        else:
            await self._at_rate(order.per_second)
        elapsed = time.perf_counter() - self._counts_from
        self._sent.processor = (time.process_time() - processor) / (order.warm_seconds + elapsed)
        self._sent.seconds = min(elapsed, order.seconds)
        self._is_over = True
        for connection in self._idle:
            connection.close()
        return self._sent

    async def _connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: _Connection(self), *self._address)

    async def _at_rate(self, per_second: float) -> None:
        start = time.perf_counter()
        while (now := time.perf_counter()) < self._counts_to:
            while (due := start + self._due / per_second) <= now:
                self._due += 1
                self._waiting.append(due)
                self._take_up()
            await asyncio.sleep(max(0.0, due - now))
        self._sent.unanswered = self._due - self._ended
        self._sent.ended_at = time.time()
        await self._until_ended(lambda: self._due, self._order.late_seconds)
        self._sent.answers["not sent"] = len(self._waiting)
        self._waiting.clear()
        await self._until_ended(lambda: self._begun, _PATIENCE_SECONDS)
        self._sent.answers["no answer"] += self._begun - self._ended
        self._sent.answers = +self._sent.answers

    async def _until_ended(self, requests: Callable[[], int], seconds: float) -> None:
        deadline = time.perf_counter() + seconds
        while self._ended < requests() and time.perf_counter() < deadline:
            await asyncio.sleep(0.005)

    def _take_up(self) -> None:
        while self._idle and self._waiting:
            self._begin(self._waiting.popleft())

    def _may_begin(self) -> bool:
        most = self._order.most
        return time.perf_counter() < self._counts_to and (most is None or self._begun < most)

    def _begin(self, due: float) -> None:
        turn, number = divmod(self._begun, len(self._requests))
        self._begun += 1
        fresh = b"%04x%04x" % (self._order.series, turn % 0x10000)
        self._idle.popleft().send(self._requests[number].replace(MARK, fresh), due)

    def ready(self, connection: _Connection) -> None:
        """Have a connection that nothing is on its way over."""
        self._idle.append(connection)
        self._take_up()

    def answered(self, connection: _Connection, status: str, due: float) -> None:
        """Count an answer, and go on."""
        self._idle.append(connection)
        self._end(status, due)

    def lost(self, connection: _Connection, due: float | None) -> None:
        """Put another in the place of a connection that was closed; `due` where a request was on its way."""
        if connection in self._idle:
            self._idle.remove(connection)
        if not self._is_over:
            task = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
            if due is not None:
                self._end("no answer", due)

    def _end(self, status: str, due: float) -> None:
        now = time.perf_counter()
        self._ended += 1
        self._sent.answers[status] += 1
        is_good = status == self._sent.good
        self._sent.counted += is_good and self._counts_from <= now < self._counts_to
        if self._order.per_second is not None and self._counts_from <= due < self._counts_to:
            if is_good:
                self._sent.times.append(now - due)
            else:
                self._sent.failed += 1
        if self._order.per_second is not None:
            self._take_up()
        elif self._may_begin() and self._idle:
            self._begin(now)
        elif self._ended == self._begun:
            self._all_ended.set()


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, generator: _Generator) -> None:
        self._generator = generator
        self._buffer = b""
        self._due: float | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one by its methods only
        self._transport = cast(asyncio.Transport, transport)
        self._generator.ready(self)

    def send(self, request: bytes, due: float) -> None:
        assert self._transport is not None
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, end + 2)
        assert length is not None, self._buffer
        if len(self._buffer) >= end + 4 + int(length[1]):
            status = self._buffer[9:12].decode()
            self._buffer = b""
            due, self._due = self._due, None
            if due is None:
                # a 408 on a connection that was not used for long: the service closes it, and another takes its place
                self.close()
            else:
                self._generator.answered(self, status, due)

    def connection_lost(self, exc: Exception | None) -> None:
        self._generator.lost(self, self._due)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
