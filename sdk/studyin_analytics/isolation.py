"""How the event that ingest fails on is found among its neighbours, and how they get past it.

Times are seconds of a clock that only grows.
"""

from __future__ import annotations

from typing import Final

from .retry import Backoff

QUICK_FAILURES: Final = 8
"""So many events may fail alone, one after the other, before that looks like an outage and sending slows down."""

HALVING_SHARE: Final = 0.1
"""Part of the first back-off that lies between two halves."""


class Isolation:
    """Halves batches that fail, and says when an event that failed alone, a suspect, is tried again.

    Only for the thread of one sender.
    """

    def __init__(self, most: int, backoff: Backoff) -> None:
        self.limit = most
        """Most events of the next request."""
        self._most = most
        self._backoff = backoff
        self._failed_alone = 0
        self._suspects_failed = 0
        self._suspects_from = float("-inf")
        self._suspect_due = float("inf")
        self._others_go = False

    def settled(self, was_suspect: bool) -> None:
        """Note that ingest settled events."""
        if not was_suspect:
            self.limit = min(self.limit * 2, self._most)
        self._failed_alone = self._suspects_failed = 0
        self._suspects_from = float("-inf")
        self._others_go = not was_suspect

    def batch_failed(self, events: int) -> float:
        """Note that a request with several events failed; return how long to wait before the first half is sent."""
        self.limit = events // 2
        self._others_go = False
        return self._backoff.luck() * self._backoff.first * HALVING_SHARE

    def event_failed(self, was_suspect: bool, now: float) -> float:
        """Note that an event failed alone; return how long to wait before the others are sent."""
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
        """Whether to send the newest event instead of the oldest: there may be good ones behind many bad ones."""
        beyond = self._failed_alone - QUICK_FAILURES
        return beyond >= 0 and beyond % 2 == 0

    def busy(self) -> None:
        """Note that ingest takes nothing now."""
        self._others_go = False

    def suspects_wait(self, seconds: float | None, now: float) -> None:
        """Note when the first suspect is to be tried again; None: there is none."""
        self._suspect_due = float("inf") if seconds is None else now + seconds

    def is_suspects_turn(self, now: float) -> bool:
        """Whether a suspect goes before the others: only behind a request of theirs that went well."""
        return self._others_go and self.may_try_suspect(now)

    def may_try_suspect(self, now: float) -> bool:
        """Whether a suspect may be tried if no other event waits."""
        return now >= max(self._suspect_due, self._suspects_from)

    def seconds_to_suspect(self, now: float) -> float | None:
        """Return the time until a suspect may be tried, 0 or more; None when there is none."""
        if self._suspect_due == float("inf"):
            return None
        return max(self._suspect_due - now, self._suspects_from - now, 0.0)
