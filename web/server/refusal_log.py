"""Counts and logs requests that never reach an application: at most one line a minute for each code.

Sending an invalid request needs no credentials, so it must not fill the log.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Final

MINUTE: Final = 60.0
"""Seconds between two lines of the same kind."""

_log: Final = logging.getLogger("uvicorn.error")


class MinuteCounts:
    """Decides when to report events of each kind: the first at once, then the sum of each minute. Pure."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}
        """By kind: time of the last report, and the count since then."""

    def add(self, kind: str, now: float) -> int:
        """Count one event. Return the count to report now; 0 while the minute is not over."""
        since, count = self._windows.get(kind, (-math.inf, 0))
        count += 1
        is_due = now - since >= MINUTE
        self._windows[kind] = (now, 0) if is_due else (since, count)
        return count if is_due else 0

    def due(self, now: float) -> Mapping[str, int]:
        """Return the counts of kinds whose minute is over."""
        ready = {kind: count for kind, (since, count) in self._windows.items() if count and now - since >= MINUTE}
        self._windows.update((kind, (now, 0)) for kind in ready)
        return ready

    def rest(self) -> Mapping[str, int]:
        """Return every count that is not reported yet, for the end of the process."""
        left = {kind: count for kind, (_, count) in self._windows.items() if count}
        self._windows.clear()
        return left

    def wait(self, now: float) -> float | None:
        """Return the seconds until a count is due; None when there is nothing to report."""
        return min((since + MINUTE - now for since, count in self._windows.values() if count), default=None)


class RefusalLog:
    """Writes the log lines of one server."""

    def __init__(self, count: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        """`count` is called with the code of every refusal. `clock` is monotonic, in seconds."""
        self._count = count
        self._clock = clock
        self._counts = MinuteCounts()
        self._timer: asyncio.TimerHandle | None = None

    def refused(self, code: str, request_id: str) -> None:
        """Count a refusal. Log it unless its code was logged within the last minute."""
        self._count(code)
        now = self._clock()
        if count := self._counts.add(code, now):
            _log.warning("refused requests: code=%s count=%d request_id=%s", code, count, request_id)
        elif self._timer is None:
            self._arm(now)

    def close(self) -> None:
        """Log the counts that are not logged yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        _report(self._counts.rest())

    def _arm(self, now: float) -> None:
        seconds = self._counts.wait(now)
        loop = asyncio.get_running_loop()
        self._timer = None if seconds is None else loop.call_later(max(0.0, seconds), self.report_due)

    def report_due(self) -> None:
        """Log the counts whose minute is over, and schedule the next report."""
        now = self._clock()
        _report(self._counts.due(now))
        self._arm(now)


def _report(counts: Mapping[str, int]) -> None:
    for code, count in counts.items():
        _log.warning("refused requests: code=%s count=%d", code, count)
