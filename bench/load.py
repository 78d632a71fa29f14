"""A load generator in its own process. It uses bare keep-alive connections, to take little CPU from the system.

With a rate it is open-loop: requests are due at constant intervals, whatever the answers, and latency counts from the
moment a request was due. Without a rate, each connection sends the next request when it has an answer.
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
    """Requests that are sent in order, repeatedly."""

    @property
    def good(self) -> str:
        """The status of a successful answer."""

    def encoded(self, host: str, key: str) -> list[bytes]:
        """Return the bytes of each request. MARK in them is replaced by another number each time."""


@dataclass(frozen=True)
class Order:
    """A load to send."""

    url: str
    key: str
    requests: Sendable
    connections: int
    seconds: float
    """Measured time, after the warm-up."""
    warm_seconds: float = 0.0
    """Warm-up before the measured time."""
    per_second: float | None = None
    """Requests per second; None: as many as are answered."""
    most: int | None = None
    """Maximum number of requests; None for no limit."""
    late_seconds: float = 1.0
    """How long after the end of an open loop due requests may still be sent."""
    series: int = field(default_factory=lambda: next(_SERIES) % 0x10000)
    """Makes the event ids of this order distinct from those of others."""


@dataclass
class Sent:
    """The result of an order."""

    good: str
    """The status of a successful answer."""
    answers: Counter[str] = field(default_factory=Counter)
    """Number of answers by status, of the whole order."""
    counted: int = 0
    """Successful answers within the measured time."""
    seconds: float = 0.0
    unanswered: int = 0
    """Requests that were due and not answered at the end of the measured time."""
    began_at: float = 0.0
    """Unix time of the first request."""
    ended_at: float = 0.0
    """Unix time of the end of an open loop."""
    times: list[float] = field(default_factory=list)
    """Seconds from due to a successful answer, for requests that were due within the measured time of an open loop."""
    failed: int = 0
    """Number of those requests that had another answer."""
    processor: float = 0.0
    """Processor use of the generator, in cores."""

    @property
    def accepted(self) -> int:
        """Number of requests with a successful answer."""
        return self.answers[self.good]

    def require_all_accepted(self) -> None:
        """Raise RuntimeError unless every answer was successful: otherwise the figures are invalid."""
        if set(self.answers) != {self.good}:
            raise RuntimeError(f"not everything was answered {self.good}: {dict(self.answers)}")


async def send(order: Order) -> Sent:
    """Send the order from a separate process."""
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
        # the connection that was idle longest is next, so that all are used
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[float] = deque()
        self._counts_from = self._counts_to = 0.0
        self._all_ended = asyncio.Event()
        self._is_over = False
        self._connecting: set[asyncio.Task[None]] = set()

    async def run(self) -> Sent:
        """Run the whole order."""
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
        """Add an idle connection."""
        self._idle.append(connection)
        self._take_up()

    def answered(self, connection: _Connection, status: str, due: float) -> None:
        """Count an answer and continue."""
        self._idle.append(connection)
        self._end(status, due)

    def lost(self, connection: _Connection, due: float | None) -> None:
        """Replace a closed connection. `due` is set if a request was in flight on it."""
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
    """A connection with one request at a time."""

    def __init__(self, generator: _Generator) -> None:
        self._generator = generator
        self._buffer = b""
        self._due: float | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # the transport of uvloop has only the methods of this type
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
                # a 408 on an idle connection: the service closes it, and another one takes its place
                self.close()
            else:
                self._generator.answered(self, status, due)

    def connection_lost(self, exc: Exception | None) -> None:
        self._generator.lost(self, self._due)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
