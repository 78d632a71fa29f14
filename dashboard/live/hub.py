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

from dashboard.live.frames import Events
from dashboard.live.pace import Pace
from dashboard.live.ring import Ring, RingMessage, Selection, select
from dashboard.live.tally import Tally
from dashboard.live.wanted import Wanted
from runtime.clock import utc_now
from runtime.errors import StreamUnavailable
from runtime.lifecycle import run_together, wait
from schemas.live import head_of
from stream.connection import Redis
from stream.timeline import HistoryGone, TimelineMessage, last_message_id, read_timeline
from telemetry import events as telemetry

RING_MESSAGES: Final = 10_000
"""Seconds to minutes of events: enough for a client that stumbles."""
MEMORY: Final = timedelta(minutes=10)
"""How long a message may stay in memory: who is erased from the timeline is soon gone from here too."""
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
        self._position: int | None = None
        """Id up to which the timeline was read; None while nobody is subscribed."""
        self._subscribers = 0
        self._failures = 0
        self._anchoring = asyncio.Lock()
        self._pages = asyncio.Semaphore(_PAGES_AT_ONCE)
        self._turned = asyncio.Event()
        self._made: dict[tuple[Wanted, int], tuple[Events | None, int]] = {}

    # What subscribers ask.

    @contextlib.asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Keep the hub at work for as long as the block runs. Raises StreamUnavailable when it cannot even begin."""
        self._subscribers += 1
        try:
            async with self._anchoring:
                if self._position is None:
                    self._anchor(await last_message_id(self._redis))
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

    def take(self, cursor: int, wanted: Wanted) -> tuple[Events | None, int]:
        """Return what comes next behind a cursor that is covered, if anything, and the cursor after it."""
        place = wanted, cursor
        found = self._made.get(place)
        if found is None:
            found = self._made[place] = _events(self._ring.select(cursor, wanted))
        return found

    async def page(self, cursor: int, wanted: Wanted) -> tuple[Events | None, int]:
        """Return the same of any cursor, from Redis. Raises HistoryGone or StreamUnavailable."""
        async with self._pages:
            page = await read_timeline(self._redis, cursor, _CATCH_UP_PAGE)
        messages = _read(page.messages)
        # a page that is not full ends at what the timeline ends with
        end = page.messages[-1].id if len(page.messages) == _CATCH_UP_PAGE else page.last
        return _events(select(messages, wanted, max(cursor, end)))

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
            if not self._subscribers and self._position is not None:
                self._anchor(None)
            if self._position is None:
                await wait(stop, self.pace.poll)
            else:
                await wait(stop, await self._advance(self._position))

    async def _take_turns(self, stop: asyncio.Event) -> None:
        while not await wait(stop, self.pace.turn):
            self._turn()
            self._made.clear()
            self._ring.forget(id_of(self._clock() - MEMORY))
            self.tally.publish()

    async def _advance(self, position: int) -> float:
        """Read what is new and hand it on; return how long to wait before the next time."""
        try:
            page = await read_timeline(self._redis, position, _PAGE)
        except StreamUnavailable as error:
            self._failures += 1
            pause = self.pace.retry(self._failures)
            telemetry.retrying(error, self._failures, pause)
            return pause
        except HistoryGone as gone:
            self._go_on_after(gone, position)
            return self.pace.poll
        self._failures = 0
        if not page.messages:
            self._position = page.last
            self._ring.extend((), page.last)
            return self.pace.poll
        self._position = page.messages[-1].id
        self._ring.extend(_read(page.messages), self._position)
        took = await self._round()
        return 0 if len(page.messages) == _PAGE else self.pace.pause(took)

    def _go_on_after(self, gone: HistoryGone, position: int) -> None:
        if position == 0 and gone.floor < gone.last:
            # the very first messages: nothing came before them, so nothing is lost
            self._position = gone.floor
            return
        telemetry.live_history_gone(position, gone.last)
        self.epoch += 1
        self._anchor(gone.last)
        self._turn()

    def _anchor(self, position: int | None) -> None:
        self._position = position
        self._ring = Ring(self._capacity, position or 0)
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


def _read(messages: Sequence[TimelineMessage]) -> list[RingMessage]:
    read = [RingMessage(head, message.text) for message in messages if (head := head_of(message.text)) is not None]
    if len(read) < len(messages):
        telemetry.live_messages_unreadable(len(messages) - len(read))
    return read
