"""When a sender takes its next turn; pure but for what it remembers. Times are seconds of a clock that only grows."""

from __future__ import annotations


class Schedule:
    """Not safe by itself: its owner holds a lock around each call."""

    def __init__(self, flush_at: int, flush_interval: float) -> None:
        self._flush_at = flush_at
        self._flush_interval = flush_interval
        self._events = 0
        self._due: float | None = None
        """When what waits is sent, None when nothing waits."""
        self._is_hurried = False
        self._earliest = self._latest = float("-inf")
        self._end: float | None = None

    def event_came(self, now: float) -> bool:
        """Note an event; return whether the next turn comes sooner for it."""
        before = self._due
        self._events += 1
        if self._events >= self._flush_at:
            self.more_waits(now)
        else:
            self.more_waits(now + self._flush_interval)
        return self._due != before

    def more_waits(self, at: float) -> None:
        """Note that there is something to send at a moment, or sooner."""
        self._due = at if self._due is None else min(self._due, at)

    def nothing_left(self) -> None:
        """Note that whoever was in a hurry has what they wanted."""
        if self._due is None:
            self._is_hurried = False

    def hurry(self, now: float) -> None:
        """Send at once; after a failure as soon as ingest allows it, one time."""
        self.more_waits(now)
        self._is_hurried = True

    def turn_taken(self) -> None:
        """Note that everything that waits is being sent."""
        self._events, self._due = 0, None

    def pause(self, now: float, retry_after: float, delay: float, shortest: float) -> None:
        """Wait as long as ingest asks for and then `delay`, of which a hurry leaves `shortest` at most."""
        self._earliest = now + retry_after + min(delay, shortest)
        self._latest = now + retry_after + delay
        self._is_hurried = False

    def end_by(self, moment: float) -> None:
        """Send what is left until a moment, then be over."""
        self._end = moment
        self._is_hurried = True

    @property
    def is_ending(self) -> bool:
        """Whether there is an end."""
        return self._end is not None

    def is_over(self, now: float) -> bool:
        """Whether there is nothing more to send before the end."""
        if self._end is None:
            return False
        left = self.seconds_left(now)
        return left is None or now + max(left, 0.0) >= self._end

    def seconds_left(self, now: float) -> float | None:
        """Return the time until the next turn, 0 or less when it is due; None when nothing waits."""
        if self._due is None:
            return None
        if self._is_hurried:
            return self._earliest - now
        return max(self._due, self._latest) - now
