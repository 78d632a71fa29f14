"""Follows the timelines of all partitions for all subscribers of this process: one reader and one ring.

Pub/sub would lose messages while a connection is broken. The timeline is a log: the hub continues at its position. It
reads only while there are subscribers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from dashboard.live.event_filter import EventFilter
from dashboard.live.frames import Events
from dashboard.live.pace import Pace
from dashboard.live.ring import Ring, RingMessage, Selection, select
from dashboard.live.tally import Tally
from runtime.clock import utc_now
from runtime.errors import StreamUnavailable
from runtime.lifecycle import Shutdown, run_together, run_until_stopped, wait
from schemas.live import head_of
from schemas.live_cursor import Position, parse_cursor
from stream.live.timeline import HistoryGone, TimelineMessage, last_message_ids, read_timelines
from stream.server.connection import Redis
from telemetry import internal_events as telemetry

RING_MESSAGES: Final = 10_000
"""Seconds to minutes of events, for clients that fall behind briefly."""
MEMORY: Final = timedelta(minutes=10)
"""Maximum age of a message in memory, so that erased learners leave it soon."""
RECENT: Final = timedelta(seconds=30)
"""Age of the messages that are read before the first subscriber: after a restart all subscribers return soon."""
_PAGE: Final = 2_000
_CATCH_UP_PAGE: Final = 150
"""Messages of about one frame."""
_DRAIN_STEP_SECONDS: Final = 0.1
"""Between two groups of subscribers that leave while the service drains."""
_PAGES_AT_ONCE: Final = 8
"""Maximum concurrent reads of subscribers that catch up from Redis."""


class Hub:
    """The messages that subscribers read. Only its loop adds messages."""

    def __init__(
        self,
        redis: Redis,
        pace: Pace | None = None,
        capacity: int = RING_MESSAGES,
        clock: Callable[[], datetime] = utc_now,
        partitions: int = 1,
    ) -> None:
        self.pace = pace or Pace()
        self.tally = Tally()
        self.epoch = 0
        """Increases when messages were lost and no subscriber can continue."""
        self.leaving = 0.0
        """Share of the subscribers whose sessions end: 0 to 1. It grows while the service drains."""
        self._redis = redis
        self._capacity = capacity
        self._clock = clock
        self._start: Position = (0,) * partitions
        self._ring = Ring(capacity, self._start)
        self._follows = False
        """Whether the ring is current: only while there are subscribers."""
        self._subscribers = 0
        self._failures = 0
        self._anchoring = asyncio.Lock()
        self._pages = asyncio.Semaphore(_PAGES_AT_ONCE)
        self._turned = asyncio.Event()
        self._made: dict[tuple[EventFilter, Position], tuple[Events | None, Position]] = {}

    # For subscribers.

    @contextlib.asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Keep the hub current during the block. Raises StreamUnavailable if it cannot start."""
        self._subscribers += 1
        try:
            async with self._anchoring:
                if not self._follows:
                    self._start_with(await self._recent())
            yield
        finally:
            self._subscribers -= 1

    @property
    def turned(self) -> asyncio.Event:
        """Event of the next turn. Read it before the messages, so that no turn is missed."""
        return self._turned

    @property
    def end(self) -> Position:
        """Ids of the newest messages that were read."""
        return self._ring.end

    def position_of(self, cursor: str) -> Position | None:
        """Return the position of a cursor; None for one that is not of this system."""
        return parse_cursor(cursor, len(self._start))

    def has_left(self, position: Position) -> bool:
        """Whether messages after the position have left the ring."""
        return self._ring.has_left(position)

    def covers(self, position: Position) -> bool:
        """Whether every message after the position is in the ring."""
        return self._ring.covers(position)

    def take(self, position: Position, wanted: EventFilter) -> tuple[Events | None, Position]:
        """Return the next messages after a covered position, if any, and the position after them."""
        key = wanted, position
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = _events(position, self._ring.select(position, wanted))
        return found

    async def page(self, position: Position, wanted: EventFilter) -> tuple[Events | None, Position]:
        """Return the same for any position, from Redis. Raises HistoryGone or StreamUnavailable."""
        async with self._pages:
            page = await read_timelines(self._redis, position, _CATCH_UP_PAGE)
        return _events(position, select(_read(page.messages), wanted, position, page.end))

    # The loop.

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the timeline until `stop` is set, also through outages of Redis. Then end all subscribers."""
        try:
            await run_together(stop, self._read_timeline(stop), self._take_turns(stop))
        finally:
            self._dismiss(1.0)

    async def drain(self, shutdown: Shutdown) -> None:
        """Wait for the drain, and end the subscribers one after the other in its second half.

        Each returns at once: not all at the same moment, and not to this process, since the load balancer had the first
        half to notice.
        """
        await run_until_stopped(shutdown.drain.wait(), shutdown.stop)
        while not await wait(shutdown.stop, _DRAIN_STEP_SECONDS):
            self._dismiss(max(0.0, 2 * shutdown.progress() - 1))

    async def _read_timeline(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if not self._subscribers and self._follows:
                self._follows = False
                self._ring = Ring(self._capacity, self._start)
            await wait(stop, await self._advance() if self._follows else self.pace.poll)

    async def _take_turns(self, stop: asyncio.Event) -> None:
        while not await wait(stop, self.pace.turn):
            self._turn()
            self._made.clear()
            self._ring.forget(id_of(self._clock() - MEMORY))
            self.tally.publish()

    async def _advance(self) -> float:
        """Read new messages and wake the subscribers. Return the seconds until the next read."""
        try:
            page = await read_timelines(self._redis, self._ring.end, _PAGE)
        except StreamUnavailable as error:
            self._failures += 1
            pause = self.pace.retry(self._failures)
            telemetry.retrying(error, self._failures, pause)
            return pause
        except HistoryGone as gone:
            self._go_on_after(gone)
            return self.pace.poll
        self._failures = 0
        self._ring.extend(_read(page.messages), page.end)
        if not page.messages:
            return self.pace.poll
        took = await self._round()
        return self.pace.pause(took) if page.is_last else 0

    def _go_on_after(self, gone: HistoryGone) -> None:
        if (first := gone.first) is not None:
            # the first messages ever of a partition: nothing was lost
            self._ring.extend((), first)
            return
        telemetry.live_history_gone(self._ring.end, gone.last)
        self.epoch += 1
        self._start_with(Ring(self._capacity, gone.last))
        self._turn()

    async def _recent(self) -> Ring:
        """Return the recent messages, for subscribers that reconnect. Raises StreamUnavailable."""
        last = await last_message_ids(self._redis, len(self._start))
        recent = RECENT // timedelta(microseconds=1)
        start: Position = tuple(max(0, one - recent) for one in last)
        for _ in range(2):
            try:
                return await self._read_from(start, last)
            except HistoryGone as gone:
                # the timeline does not reach back that far
                start, last = tuple(map(max, start, gone.floor)), gone.last
        return Ring(self._capacity, last)

    async def _read_from(self, start: Position, last: Position) -> Ring:
        ring = Ring(self._capacity, start)
        while any(end < newest for end, newest in zip(ring.end, last, strict=True)):
            page = await read_timelines(self._redis, ring.end, _PAGE)
            ring.extend(_read(page.messages), page.end)
        return ring

    def _start_with(self, ring: Ring) -> None:
        self._follows = True
        self._ring = ring
        self._made.clear()

    async def _round(self) -> float:
        """Let every subscriber send its new messages. Return the seconds that it took."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._made.clear()
        self._turn()
        # this task runs after the tasks just woken, and again after their bytes were written
        for _ in range(2):
            await asyncio.sleep(0)
        return loop.time() - started

    def _dismiss(self, share: float) -> None:
        self.leaving = share
        self._turn()

    def _turn(self) -> None:
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()


def _events(after: Position, selection: Selection) -> tuple[Events | None, Position]:
    return (Events(after, selection) if selection.messages else None), selection.position


def id_of(moment: datetime) -> int:
    """Return the minimum id of a message published at this moment."""
    return int(moment.timestamp() * 1_000_000)


def _read(messages: Sequence[TimelineMessage]) -> list[RingMessage]:
    read = [
        RingMessage(head, message.text, message.partition)
        for message in messages
        if (head := head_of(message.text)) is not None
    ]
    if len(read) < len(messages):
        telemetry.live_messages_unreadable(len(messages) - len(read))
    return read
