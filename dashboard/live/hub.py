"""Follows the timeline for all subscribers of this process: one reader, one ring, nothing per subscriber.

Pub/sub would lose what comes while a connection breaks; the timeline is a log, and the hub goes on where it was. It
reads only while somebody is subscribed.
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
from runtime.lifecycle import run_together, wait
from schemas.live import head_of
from stream.connection import Redis
from stream.timeline import HistoryGone, TimelineMessage, TimelinePage, last_message_id, read_timeline
from telemetry import events as telemetry

RING_MESSAGES: Final = 10_000
"""Seconds to minutes of events: enough for a client that stumbles."""
MEMORY: Final = timedelta(minutes=10)
"""How long a message may stay in memory: who is erased from the timeline is soon gone from here too."""
RECENT: Final = timedelta(seconds=30)
"""What is read before the first subscriber begins: after a restart all come back, and soon."""
_PAGE: Final = 2_000
_CATCH_UP_PAGE: Final = 150
"""About what one frame holds of them."""
_PAGES_AT_ONCE: Final = 8
"""Of subscribers that catch up from Redis, however many come back at the same time."""


class Hub:
    """What subscribers stand before. Only `keep` moves it on."""

    def __init__(
        self,
        redis: Redis,
        pace: Pace | None = None,
        capacity: int = RING_MESSAGES,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.pace = pace or Pace()
        self.tally = Tally()
        self.epoch = 0
        """Grows when messages were lost behind which nobody can go on."""
        self.is_over = False
        """Whether the process is about to end."""
        self._redis = redis
        self._capacity = capacity
        self._clock = clock
        self._ring = Ring(capacity)
        self._follows = False
        """Whether the ring is kept up to date: only while somebody is subscribed."""
        self._subscribers = 0
        self._failures = 0
        self._anchoring = asyncio.Lock()
        self._pages = asyncio.Semaphore(_PAGES_AT_ONCE)
        self._turned = asyncio.Event()
        self._made: dict[tuple[EventFilter, int], tuple[Events | None, int]] = {}

    # What subscribers ask.

    @contextlib.asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Keep the hub at work for as long as the block runs. Raises StreamUnavailable when it cannot even begin."""
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
        """Set at the next turn; take it before looking, so that none is missed."""
        return self._turned

    @property
    def end(self) -> int:
        """The id behind which new messages come."""
        return self._ring.end

    def has_left(self, cursor: int) -> bool:
        """Whether messages behind the cursor are in the ring no more."""
        return cursor < self._ring.floor

    def covers(self, cursor: int) -> bool:
        """Whether everything behind the cursor is in the ring."""
        return self._ring.covers(cursor)

    def take(self, cursor: int, wanted: EventFilter) -> tuple[Events | None, int]:
        """Return what comes next behind a cursor that is covered, if anything, and the cursor after it."""
        place = wanted, cursor
        found = self._made.get(place)
        if found is None:
            found = self._made[place] = _events(self._ring.select(cursor, wanted))
        return found

    async def page(self, cursor: int, wanted: EventFilter) -> tuple[Events | None, int]:
        """Return the same of any cursor, from Redis. Raises HistoryGone or StreamUnavailable."""
        async with self._pages:
            page = await read_timeline(self._redis, cursor, _CATCH_UP_PAGE)
        messages = _read(page.messages)
        return _events(select(messages, wanted, _end_of(page, _CATCH_UP_PAGE)))

    # What moves it on.

    async def keep(self, stop: asyncio.Event) -> None:
        """Follow the timeline until `stop` is set, through every outage of Redis; then tell all subscribers."""
        try:
            await run_together(stop, self._follow(stop), self._take_turns(stop))
        finally:
            self.is_over = True
            self._turn()

    async def _follow(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if not self._subscribers and self._follows:
                self._follows = False
                self._ring = Ring(self._capacity)
            await wait(stop, await self._advance() if self._follows else self.pace.poll)

    async def _take_turns(self, stop: asyncio.Event) -> None:
        while not await wait(stop, self.pace.turn):
            self._turn()
            self._made.clear()
            self._ring.forget(id_of(self._clock() - MEMORY))
            self.tally.publish()

    async def _advance(self) -> float:
        """Read what is new and hand it on; return how long to wait before the next time."""
        try:
            page = await read_timeline(self._redis, self._ring.end, _PAGE)
        except StreamUnavailable as error:
            self._failures += 1
            pause = self.pace.retry(self._failures)
            telemetry.retrying(error, self._failures, pause)
            return pause
        except HistoryGone as gone:
            self._go_on_after(gone)
            return self.pace.poll
        self._failures = 0
        self._ring.extend(_read(page.messages), _end_of(page, _PAGE))
        if not page.messages:
            return self.pace.poll
        took = await self._round()
        return 0 if len(page.messages) == _PAGE else self.pace.pause(took)

    def _go_on_after(self, gone: HistoryGone) -> None:
        if self._ring.end == 0 and gone.floor < gone.last:
            # the very first messages: nothing came before them, so nothing is lost
            self._ring.extend((), gone.floor)
            return
        telemetry.live_history_gone(self._ring.end, gone.last)
        self.epoch += 1
        self._start_with(Ring(self._capacity, gone.last))
        self._turn()

    async def _recent(self) -> Ring:
        """Return what was published last: whoever comes back is served from memory. Raises StreamUnavailable."""
        last = await last_message_id(self._redis)
        start = max(0, last - RECENT // timedelta(microseconds=1))
        for _ in range(2):
            try:
                return await self._read_from(start, last)
            except HistoryGone as gone:
                # the timeline does not reach so far back
                start, last = gone.floor, gone.last
        return Ring(self._capacity, last)

    async def _read_from(self, start: int, last: int) -> Ring:
        ring = Ring(self._capacity, start)
        while ring.end < last:
            page = await read_timeline(self._redis, ring.end, _PAGE)
            ring.extend(_read(page.messages), _end_of(page, _PAGE))
        return ring

    def _start_with(self, ring: Ring) -> None:
        self._follows = True
        self._ring = ring
        self._made.clear()

    async def _round(self) -> float:
        """Let every subscriber send what is new to it; return how long that took."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._made.clear()
        self._turn()
        # this task comes after all those that were just woken, and once more after their bytes were written
        for _ in range(2):
            await asyncio.sleep(0)
        return loop.time() - started

    def _turn(self) -> None:
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()


def _events(selection: Selection) -> tuple[Events | None, int]:
    return (Events(selection) if selection.messages else None), selection.cursor


def id_of(moment: datetime) -> int:
    """Return the id that a message published at this moment would have at least."""
    return int(moment.timestamp() * 1_000_000)


def _end_of(page: TimelinePage, count: int) -> int:
    """Return the id up to which a page of `count` tells everything."""
    return page.messages[-1].id if len(page.messages) == count else page.last


def _read(messages: Sequence[TimelineMessage]) -> list[RingMessage]:
    read = [RingMessage(head, message.text) for message in messages if (head := head_of(message.text)) is not None]
    if len(read) < len(messages):
        telemetry.live_messages_unreadable(len(messages) - len(read))
    return read
