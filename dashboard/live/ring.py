"""The newest messages in memory, and the selection of those after a cursor. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from dashboard.live.event_filter import EventFilter
from schemas.live import MAX_FRAME_EVENTS, MessageHead

MAX_FRAME_BYTES: Final = 64 * 1024
"""Maximum size of the messages of one frame, unless the first is larger. Each subscriber may have one in its buffer."""


class RingMessage(NamedTuple):
    """A message, parsed once for all subscribers."""

    head: MessageHead
    text: bytes


class Selection(NamedTuple):
    """The next messages of a subscriber."""

    messages: list[RingMessage]
    """Messages of its filter, oldest first; at most one frame."""
    cursor: int
    """Its cursor afterwards, also past messages that its filter skips."""


class Ring:
    """The newest messages: at least the capacity, at most twice as many."""

    def __init__(self, capacity: int, start: int = 0) -> None:
        """Start empty: new messages have ids above `start`."""
        self._capacity = capacity
        self._ids: list[int] = []
        self._messages: list[RingMessage] = []
        self.floor = start
        """Messages up to this id are not in the ring."""
        self.end = start
        """Messages up to this id have been read."""

    def extend(self, messages: Sequence[RingMessage], end: int) -> None:
        """Append messages, oldest first. `end`: id up to which everything has been read."""
        self._ids += [message.head.id for message in messages]
        self._messages += messages
        self.end = end
        if len(self._ids) >= 2 * self._capacity:
            self.forget(self._ids[-self._capacity - 1])

    def forget(self, through: int) -> None:
        """Drop the messages up to an id."""
        excess = bisect_right(self._ids, through)
        if excess:
            self.floor = self._ids[excess - 1]
            del self._ids[:excess]
            del self._messages[:excess]

    def covers(self, cursor: int) -> bool:
        """Whether every message after the cursor is in the ring."""
        return self.floor <= cursor <= self.end

    def select(self, cursor: int, event_filter: EventFilter) -> Selection:
        """Return the next messages after a covered cursor."""
        start = bisect_right(self._ids, cursor)
        return select(self._messages[start:], event_filter, self.end)


def select(messages: Iterable[RingMessage], event_filter: EventFilter, end: int) -> Selection:
    """Return the messages of one frame. `end` is the cursor after all of `messages`."""
    taken: list[RingMessage] = []
    size = 0
    for message in messages:
        if not event_filter.matches(message.head):
            continue
        size += len(message.text)
        if taken and (size > MAX_FRAME_BYTES or len(taken) == MAX_FRAME_EVENTS):
            return Selection(taken, taken[-1].head.id)
        taken.append(message)
    return Selection(taken, end)
