"""The newest messages in memory, and what a cursor still has before it. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from dashboard.live.event_filter import EventFilter
from schemas.live import MAX_FRAME_EVENTS, MessageHead

MAX_FRAME_BYTES: Final = 64 * 1024
"""Most bytes of one frame's messages, unless the first is longer: as much may be on its way to every subscriber."""


class RingMessage(NamedTuple):
    """A message, looked into once for all subscribers."""

    head: MessageHead
    text: bytes


class Selection(NamedTuple):
    """What a subscriber is sent next."""

    messages: list[RingMessage]
    """Those it wants, oldest first; as many as one frame may hold."""
    cursor: int
    """How far it has seen then, past what it does not want too."""


class Ring:
    """The newest messages, as many as the capacity and at times twice as many."""

    def __init__(self, capacity: int, start: int = 0) -> None:
        """Hold nothing yet: what comes is behind `start`."""
        self._capacity = capacity
        self._ids: list[int] = []
        self._messages: list[RingMessage] = []
        self.floor = start
        """Id up to which messages are not here."""
        self.end = start
        """Id up to which everything is known here."""

    def extend(self, messages: Sequence[RingMessage], end: int) -> None:
        """Take messages, oldest first; everything through the id `end` is known then."""
        self._ids += [message.head.id for message in messages]
        self._messages += messages
        self.end = end
        if len(self._ids) >= 2 * self._capacity:
            self.forget(self._ids[-self._capacity - 1])

    def forget(self, through: int) -> None:
        """Let go of the messages up to an id."""
        excess = bisect_right(self._ids, through)
        if excess:
            self.floor = self._ids[excess - 1]
            del self._ids[:excess]
            del self._messages[:excess]

    def covers(self, cursor: int) -> bool:
        """Whether everything behind the cursor is here."""
        return self.floor <= cursor <= self.end

    def select(self, cursor: int, wanted: EventFilter) -> Selection:
        """Return what comes next behind a cursor that is covered."""
        start = bisect_right(self._ids, cursor)
        return select(self._messages[start:], wanted, self.end)


def select(messages: Iterable[RingMessage], wanted: EventFilter, end: int) -> Selection:
    """Return what one frame holds of the messages; `end` is the cursor behind all of them."""
    taken: list[RingMessage] = []
    size = 0
    for message in messages:
        if not wanted.takes(message.head):
            continue
        size += len(message.text)
        if taken and (size > MAX_FRAME_BYTES or len(taken) == MAX_FRAME_EVENTS):
            return Selection(taken, taken[-1].head.id)
        taken.append(message)
    return Selection(taken, end)
