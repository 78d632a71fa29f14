"""The newest messages in memory, and the selection of those after a position. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from dashboard.live.event_filter import EventFilter
from schemas.live import MAX_FRAME_EVENTS, MessageHead
from schemas.live_cursor import Position

MAX_FRAME_BYTES: Final = 64 * 1024
"""Maximum size of the messages of one frame, unless the first is larger. Each subscriber may have one in its buffer."""


class RingMessage(NamedTuple):
    """A message, parsed once for all subscribers."""

    head: MessageHead
    text: bytes
    partition: int = 0


class Selection(NamedTuple):
    """The next messages of a subscriber."""

    messages: list[RingMessage]
    """Messages of its filter; at most one frame. Those of a partition are in order, oldest first."""
    position: Position
    """Its position afterwards, also past messages that its filter skips."""


class Ring:
    """The newest messages in the order in which they were read: at least the capacity, at most twice as many."""

    def __init__(self, capacity: int, start: Position) -> None:
        """Start empty: new messages have ids above `start`."""
        self._capacity = capacity
        self._messages: list[RingMessage] = []
        self._dropped = 0
        # of each partition: the ids of its messages, and their places among all that were ever added
        self._ids: list[list[int]] = [[] for _ in start]
        self._places: list[list[int]] = [[] for _ in start]
        self.floor = start
        """Messages up to these ids are not in the ring."""
        self.end = start
        """Messages up to these ids have been read."""

    def extend(self, messages: Sequence[RingMessage], end: Position) -> None:
        """Append messages, those of a partition oldest first. `end`: ids up to which everything has been read."""
        for place, message in enumerate(messages, start=self._dropped + len(self._messages)):
            self._ids[message.partition].append(message.head.id)
            self._places[message.partition].append(place)
        self._messages += messages
        self.end = end
        if len(self._messages) >= 2 * self._capacity:
            self._drop(len(self._messages) - self._capacity)

    def forget(self, through: int) -> None:
        """Drop the oldest messages while their ids are not above `through`."""
        excess = 0
        while excess < len(self._messages) and self._messages[excess].head.id <= through:
            excess += 1
        self._drop(excess)

    def covers(self, position: Position) -> bool:
        """Whether every message after the position is in the ring."""
        return all(low <= at <= high for low, at, high in zip(self.floor, position, self.end, strict=True))

    def has_left(self, position: Position) -> bool:
        """Whether messages after the position have left the ring."""
        return any(at < low for low, at in zip(self.floor, position, strict=True))

    def select(self, position: Position, event_filter: EventFilter) -> Selection:
        """Return the next messages after a covered position."""
        start = len(self._messages)
        for ids, places, at in zip(self._ids, self._places, position, strict=True):
            first = bisect_right(ids, at)
            if first < len(ids):
                start = min(start, places[first] - self._dropped)
        later = self._messages[start:]
        if len(position) > 1:
            # the position may be further in other partitions than in the one where the selection starts
            later = [one for one in later if one.head.id > position[one.partition]]
        return select(later, event_filter, position, self.end)

    def _drop(self, count: int) -> None:
        self.floor = _position_after(self.floor, self._messages[:count])
        del self._messages[:count]
        self._dropped += count
        for ids, places in zip(self._ids, self._places, strict=True):
            gone = bisect_right(places, self._dropped - 1)
            del ids[:gone], places[:gone]


def select(messages: Sequence[RingMessage], event_filter: EventFilter, after: Position, end: Position) -> Selection:
    """Return those of one frame of the messages after a position. `end` is the position after all of them."""
    taken: list[RingMessage] = []
    size = 0
    for place, message in enumerate(messages):
        if not event_filter.matches(message.head):
            continue
        size += len(message.text)
        if taken and (size > MAX_FRAME_BYTES or len(taken) == MAX_FRAME_EVENTS):
            return Selection(taken, _position_after(after, messages[:place]))
        taken.append(message)
    return Selection(taken, end)


def _position_after(position: Position, messages: Iterable[RingMessage]) -> Position:
    passed = list(position)
    for message in messages:
        passed[message.partition] = message.head.id
    return tuple(passed)
