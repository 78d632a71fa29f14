"""Decides when a sender sends next. Does no I/O. Times are monotonic, in seconds."""

from __future__ import annotations


class Schedule:
    """Not thread-safe: the owner holds a lock during each call."""

    def __init__(self, flush_at: int, flush_interval: float) -> None:
        self._flush_at = flush_at
        self._flush_interval = flush_interval
        self._events = 0
        self._due: float | None = None
        """Time at which the waiting events are sent; None without waiting events."""
        self._is_hurried = False
        self._earliest = self._latest = float("-inf")
        self._end: float | None = None

    def event_came(self, now: float) -> bool:
        """Record a new event; return whether it makes the next turn earlier."""
        before = self._due
        self._events += 1
        if self._events >= self._flush_at:
            self.more_waits(now)
        else:
            self.more_waits(now + self._flush_interval)
        return self._due != before

    def more_waits(self, at: float) -> None:
        """Schedule the next turn for `at` or earlier."""
        self._due = at if self._due is None else min(self._due, at)

    def nothing_left(self) -> None:
        """Record that all events are sent, which ends a hurry."""
        if self._due is None:
            self._is_hurried = False

    def hurry(self, now: float) -> None:
        """Schedule the next turn for now, or after a failure for as soon as ingest allows. Affects one turn."""
        self.more_waits(now)
        self._is_hurried = True

    def turn_taken(self) -> None:
        """Record that the waiting events are being sent."""
        self._events, self._due = 0, None

    def pause(self, now: float, retry_after: float, delay: float, shortest: float) -> None:
        """Pause for `retry_after` and then `delay`. A hurry reduces `delay` to at most `shortest`."""
        self._earliest = now + retry_after + min(delay, shortest)
        self._latest = now + retry_after + delay
        self._is_hurried = False

    def end_by(self, moment: float) -> None:
        """Send the remaining events until `moment`, then end."""
        self._end = moment
        self._is_hurried = True

    @property
    def is_ending(self) -> bool:
        """Whether an end was set."""
        return self._end is not None

    def is_over(self, now: float) -> bool:
        """Return whether nothing can be sent before the end."""
        if self._end is None:
            return False
        left = self.seconds_left(now)
        return left is None or now + max(left, 0.0) >= self._end

    def seconds_left(self, now: float) -> float | None:
        """Return the time until the next turn, 0 or less if it is due; None without waiting events."""
        if self._due is None:
            return None
        if self._is_hurried:
            return self._earliest - now
        return max(self._due, self._latest) - now
