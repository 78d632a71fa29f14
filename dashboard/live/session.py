"""One subscriber: its position, and its frames."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import Enum

from dashboard.live import frames
from dashboard.live.event_filter import EventFilter
from dashboard.live.frames import Frame
from dashboard.live.hub import Hub
from dashboard.live.subscriber_limits import Holder
from runtime.errors import StreamUnavailable
from schemas.live_cursor import cursor_of
from stream.live.timeline import HistoryGone
from telemetry import internal_events as telemetry

_NEVER = -1
"""The epoch of a cursor that is not of this system."""


class End(Enum):
    """Why a session ended."""

    CREDENTIALS_ENDED = "credentials_ended"
    RESTART = "restart"
    """The service is stopping. The client may reconnect, also to another process."""
    GONE = "gone"
    """The client disconnected."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """The request of a subscriber."""

    wanted: EventFilter
    after: str | None
    """Its cursor; None: start with new messages."""
    is_still_good: Callable[[], bool]
    """Returns whether its credentials are still valid."""
    holder: Holder
    """The holder that the subscriber limits count it for."""


class Session:
    """Yields the frames of a subscriber. Messages that arrive while a frame is sent wait in the ring."""

    def __init__(self, hub: Hub, subscription: Subscription) -> None:
        """Start at the cursor of the subscription. The hub must be current (`joined`)."""
        self._hub = hub
        self._wanted = subscription.wanted
        self._is_still_good = subscription.is_still_good
        known = hub.end if subscription.after is None else hub.position_of(subscription.after)
        self._position = hub.end if known is None else known
        self._epoch = _NEVER if known is None else hub.epoch
        self._was_covered = False
        self._has_left = False
        # sessions end in a random order when the service drains
        self._turn_to_leave = random.random()
        self.end: End | None = None
        """Why the frames ended; None before that."""

    @property
    def cursor(self) -> str:
        """The cursor of the subscriber: the last messages that it has passed."""
        return cursor_of(self._position)

    def leave(self) -> None:
        """Note that the client disconnected. The frames end soon."""
        self._has_left = True

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """Yield the frames, from the welcome to the end."""
        clock = asyncio.get_running_loop().time
        yield frames.welcome(self.cursor, self._hub.pace.heartbeat)
        sent_at = clock()
        while True:
            turned, before = self._hub.turned, self._position
            self.end = self._check_end()
            if self.end is not None:
                return
            frame = await self._next()
            if frame is None and self._position == before:
                if not self._hub.pace.is_heartbeat_due(clock() - sent_at):
                    await turned.wait()
                    continue
                frame = frames.heartbeat(self.cursor)
            if frame is not None:
                yield frame
                sent_at = clock()

    def _check_end(self) -> End | None:
        if self._has_left:
            return End.GONE
        if self._turn_to_leave < self._hub.leaving:
            return End.RESTART
        return None if self._is_still_good() else End.CREDENTIALS_ENDED

    async def _next(self) -> Frame | None:
        """Advance the position and return the next frame, if any. During an outage it stays."""
        if self._epoch != self._hub.epoch:
            return self._resync()
        if self._hub.covers(self._position):
            self._was_covered = True
            found, self._position = self._hub.take(self._position, self._wanted)
            return found
        if self._was_covered and self._hub.has_left(self._position):
            self._was_covered = False
            telemetry.live_subscriber_behind()
            return frames.behind(self.cursor)
        try:
            found, self._position = await self._hub.page(self._position, self._wanted)
        except HistoryGone:
            return self._resync()
        except StreamUnavailable:
            # the hub logs the outage
            return None
        return found

    def _resync(self) -> Frame:
        telemetry.live_subscriber_resynced()
        self._epoch = self._hub.epoch
        self._position = self._hub.end
        return frames.resync_required(self.cursor)
