"""Counts the outcomes of the events of a client."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Final

SECONDS_BETWEEN_REPORTS: Final = 10.0


@dataclass(frozen=True)
class Stats:
    """Numbers of events since the client was created. `tracked` is the sum of the others except `retried`.

    With a spool, `accepted`, `rejected`, `set_aside` and `pending` include events of other and earlier processes.
    """

    tracked: int
    """Calls of `track`."""
    accepted: int
    rejected: int
    invalid: int
    filtered: int
    """Events that before_send removed, or on which it raised."""
    dropped: int
    set_aside: int
    """Events that were given up because ingest kept failing on them; stored as dead letters if configured."""
    pending: int
    """Events in memory or in the spool without a verdict."""
    retried: int
    """Requests that were retried."""


class Books:
    """The counters of a client. Thread-safe."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        # reentrant: a signal handler may track in the thread that it interrupts
        self._lock = threading.RLock()
        self._drops_to_report = 0
        self._unreported = 0
        self._lost_letters = 0
        self._last_report = float("-inf")

    def add(self, name: str, count: int = 1) -> None:
        """Add events to a field of Stats."""
        with self._lock:
            self._counts[name] += count

    def drop(self, count: int, now: float) -> int:
        """Count dropped events. Returns the number to report now: 0 if events were reported recently."""
        with self._lock:
            self._counts["dropped"] += count
            self._unreported += count
            self._drops_to_report += count
            if now < self._last_report + SECONDS_BETWEEN_REPORTS:
                return 0
            due, self._drops_to_report, self._last_report = self._drops_to_report, 0, now
            return due

    def set_aside(self, *, is_kept: bool) -> None:
        """Count an event that is set aside. One that is not stored is lost and will be reported to ingest."""
        with self._lock:
            self._counts["set_aside"] += 1
            self._lost_letters += not is_kept
            self._unreported += not is_kept

    def lost(self) -> dict[str, int]:
        """Return the numbers of events that will never arrive, by field of Stats."""
        with self._lock:
            lost = {name: self._counts[name] for name in ("invalid", "rejected", "dropped")}
            return {name: count for name, count in (lost | {"set_aside": self._lost_letters}).items() if count}

    @property
    def unreported(self) -> int:
        """Number of lost events (dropped, or set aside and not stored) that were not reported to ingest yet."""
        return self._unreported

    def reported(self, count: int) -> None:
        """Record that `count` lost events were reported to ingest."""
        with self._lock:
            self._unreported -= count

    def stats(self, pending: int) -> Stats:
        """Return the current numbers."""
        with self._lock:
            counts = {name: self._counts[name] for name in Stats.__dataclass_fields__ if name != "pending"}
        return Stats(**counts, pending=pending)
