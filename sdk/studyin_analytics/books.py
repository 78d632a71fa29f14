"""What became of the events of a client, in numbers."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Final

SECONDS_BETWEEN_REPORTS: Final = 10.0


@dataclass(frozen=True)
class Stats:
    """Events since this process made the client: tracked = the sum of the others but for `retried`.

    With a spool, events of other processes and of earlier ones are among `accepted`, `rejected`, `set_aside` and
    `pending`.
    """

    tracked: int
    """Every call."""
    accepted: int
    rejected: int
    invalid: int
    filtered: int
    """By before_send, also because it raised."""
    dropped: int
    set_aside: int
    """Given up, because ingest failed on them alone; kept as dead letters, if there is a place for those."""
    pending: int
    """In memory or in the spool: not sent yet, or without an answer."""
    retried: int
    """Requests that had to be made again."""


class Books:
    """Counts; safe to use from any thread."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        # A signal handler may track too, in the thread that it interrupts
        self._lock = threading.RLock()
        self._untold = 0
        self._unreported = 0
        self._lost_letters = 0
        self._told_at = float("-inf")

    def add(self, name: str, count: int = 1) -> None:
        """Count events under a field of Stats."""
        with self._lock:
            self._counts[name] += count

    def drop(self, count: int, now: float) -> int:
        """Count dropped events; return of how many to tell now, which is 0 when it was told a moment ago."""
        with self._lock:
            self._counts["dropped"] += count
            self._unreported += count
            self._untold += count
            if now < self._told_at + SECONDS_BETWEEN_REPORTS:
                return 0
            untold, self._untold, self._told_at = self._untold, 0, now
            return untold

    def set_aside(self, *, is_kept: bool) -> None:
        """Count an event that is given up; one that is kept nowhere is lost, which ingest hears of."""
        with self._lock:
            self._counts["set_aside"] += 1
            self._lost_letters += not is_kept
            self._unreported += not is_kept

    def lost(self) -> dict[str, int]:
        """Return how many events will never arrive, by field of Stats."""
        with self._lock:
            lost = {name: self._counts[name] for name in ("invalid", "rejected", "dropped")}
            return {name: count for name, count in (lost | {"set_aside": self._lost_letters}).items() if count}

    @property
    def unreported(self) -> int:
        """How many events that were dropped, or set aside and not kept, ingest has not heard of."""
        return self._unreported

    def reported(self, count: int) -> None:
        """Note that ingest has heard of so many."""
        with self._lock:
            self._unreported -= count

    def stats(self, pending: int) -> Stats:
        """Return the numbers of this moment."""
        with self._lock:
            counts = {name: self._counts[name] for name in Stats.__dataclass_fields__ if name != "pending"}
        return Stats(**counts, pending=pending)
