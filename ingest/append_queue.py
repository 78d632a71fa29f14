"""Appends the events of concurrent requests together: requests that wait at the same moment share one call."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from runtime.errors import StreamUnavailable
from runtime.failpoints import Failpoint, reach
from schemas.entry import WireEvent
from schemas.limits import MAX_BATCH_EVENTS
from telemetry import internal_events as telemetry

MAX_WAITING_EVENTS: Final = 50_000
"""Maximum number of events that wait or are being appended. Bounds memory when the stream is slow."""

MAX_GROUP_EVENTS: Final = 1_000
"""Maximum events of one append. It bounds how long Redis is busy, and ingest prepares the next group meanwhile."""


class EventSink(Protocol):
    """Destination of accepted events."""

    async def append(self, events: Sequence[WireEvent]) -> None:
        """Append all events. Raises StreamUnavailable."""


class AppendQueue:
    """Groups the events of waiting requests. The events of one request stay together."""

    def __init__(self, sink: EventSink, max_waiting: int = MAX_WAITING_EVENTS, lanes: int = 1) -> None:
        """Run up to `lanes` appends concurrently: one suffices unless Redis waits for a disk or a replica."""
        self._sink = sink
        self._max_waiting = max_waiting
        self._lanes = lanes
        self._waiting: deque[tuple[Sequence[WireEvent], asyncio.Future[None]]] = deque()
        self.held_events = 0
        """Number of events that wait or are being appended."""
        self._flushers: set[asyncio.Task[None]] = set()

    @property
    def is_full(self) -> bool:
        """Whether a batch of maximum size would not fit, so reading its body would be wasted work."""
        return self.held_events + MAX_BATCH_EVENTS > self._max_waiting

    async def append(self, events: Sequence[WireEvent]) -> None:
        """Return when the stream has the events. Raises StreamUnavailable: send them again with the same ids."""
        if self.held_events + len(events) > self._max_waiting:
            raise StreamUnavailable("queue_full", "too many events wait for the stream")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((events, done))
        self.held_events += len(events)
        if len(self._flushers) < self._lanes:
            self._flushers.add(asyncio.create_task(self._flush(), name="append-queue"))
        await done

    async def _flush(self) -> None:
        try:
            while self._waiting:
                await self._flush_group()
        finally:
            # removed here and not in a done callback: a request that arrives in between would start no flusher
            self._flushers.discard(asyncio.current_task())

    async def _flush_group(self) -> None:
        group, waiters = self._take_group()
        started = time.perf_counter()
        try:
            reach(Failpoint.BEFORE_APPEND)
            await self._sink.append(group)
            reach(Failpoint.AFTER_APPEND)
        except StreamUnavailable as error:
            # The next group would fail too. Failing all waiters now avoids one timeout after another.
            behind, waiters_behind = self._take_all()
            telemetry.append_failed(error, len(group) + behind)
            _fail([*waiters, *waiters_behind], error)
        except BaseException as error:
            # A defect or the end of the process: no waiter may wait forever.
            _fail([*waiters, *self._take_all()[1]], error)
            raise
        else:
            types: dict[str, int] = {}
            for event in group:
                # a Counter costs more than most groups
                types[event.event_type] = types.get(event.event_type, 0) + 1
            telemetry.events_appended(types, time.perf_counter() - started)
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        finally:
            self.held_events -= len(group)

    def _take_group(self) -> tuple[list[WireEvent], list[asyncio.Future[None]]]:
        group: list[WireEvent] = []
        waiters = []
        while self._waiting and (not group or len(group) + len(self._waiting[0][0]) <= MAX_GROUP_EVENTS):
            events, waiter = self._waiting.popleft()
            group.extend(events)
            waiters.append(waiter)
        return group, waiters

    def _take_all(self) -> tuple[int, list[asyncio.Future[None]]]:
        count = sum(len(events) for events, _ in self._waiting)
        waiters = [waiter for _, waiter in self._waiting]
        self._waiting.clear()
        self.held_events -= count
        return count, waiters


def _fail(waiters: Sequence[asyncio.Future[None]], error: BaseException) -> None:
    for waiter in waiters:
        # A cancelled waiter is already done.
        if not waiter.done():
            waiter.set_exception(error)
