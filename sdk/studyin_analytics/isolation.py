"""Isolates an event on which ingest fails, so that the other events are sent. Times are monotonic, in seconds."""

from __future__ import annotations

from typing import Final

from .retry import Backoff

QUICK_FAILURES: Final = 8
"""Number of consecutive failures of single events after which the sender assumes an outage and slows down."""

HALVING_SHARE: Final = 0.1
"""Delay between two halves, as a share of the first backoff."""


class Isolation:
    """Halves batches that fail, and decides when to retry a suspect: an event that failed alone.

    For the thread of one sender; not thread-safe.
    """

    def __init__(self, most: int, backoff: Backoff) -> None:
        self.limit = most
        """Maximum number of events in the next request."""
        self._most = most
        self._backoff = backoff
        self._failed_alone = 0
        self._suspects_failed = 0
        self._suspects_from = float("-inf")
        self._suspect_due = float("inf")
        self._others_go = False

    def settled(self, was_suspect: bool) -> None:
        """Record that ingest settled events."""
        if not was_suspect:
            self.limit = min(self.limit * 2, self._most)
        self._failed_alone = self._suspects_failed = 0
        self._suspects_from = float("-inf")
        self._others_go = not was_suspect

    def batch_failed(self, events: int) -> float:
        """Record that a request with several events failed. Returns the delay before its first half, in seconds."""
        self.limit = events // 2
        self._others_go = False
        return self._backoff.random_fraction() * self._backoff.first * HALVING_SHARE

    def event_failed(self, was_suspect: bool, now: float) -> float:
        """Record that an event failed alone. Returns the delay before the other events, in seconds."""
        self._others_go = False
        if was_suspect:
            self._suspects_failed += 1
            self._suspects_from = now + self._backoff.delay(self._suspects_failed)
            return 0.0
        self._failed_alone += 1
        beyond = self._failed_alone - QUICK_FAILURES
        return self._backoff.delay(beyond) if beyond > 0 else self.batch_failed(2)

    @property
    def is_turn_of_newest(self) -> bool:
        """Whether to send the newest event next: good events may follow many bad ones."""
        beyond = self._failed_alone - QUICK_FAILURES
        return beyond >= 0 and beyond % 2 == 0

    def busy(self) -> None:
        """Record that ingest accepts nothing now."""
        self._others_go = False

    def suspects_wait(self, seconds: float | None, now: float) -> None:
        """Record the time until the next try of a suspect, in seconds; None without suspects."""
        self._suspect_due = float("inf") if seconds is None else now + seconds

    def is_suspects_turn(self, now: float) -> bool:
        """Whether a suspect is next. It is only after the other events had a successful request."""
        return self._others_go and self.may_try_suspect(now)

    def may_try_suspect(self, now: float) -> bool:
        """Whether a suspect may be tried when no other event waits."""
        return now >= max(self._suspect_due, self._suspects_from)

    def seconds_to_suspect(self, now: float) -> float | None:
        """Return the time until a suspect may be tried, in seconds (0 or more); None without suspects."""
        if self._suspect_due == float("inf"):
            return None
        return max(self._suspect_due - now, self._suspects_from - now, 0.0)
