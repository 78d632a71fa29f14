"""When a batch is full enough. Pure: it is told the time and what came."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from stream.consumer import Entry


@dataclass(frozen=True)
class BatchPolicy:
    """When a batch closes: at `size` entries, or `linger_ms` after its first, or `interval` seconds if that is sooner.

    While the stream has a backlog every read is full, so batches fill at once; else they gather, for a time that bounds
    what an event waits at any rate.
    """

    size: int
    interval: float
    linger_ms: int


@dataclass(frozen=True)
class ReadPlan:
    """How to read next: after `pause_ms`, at most `count` entries, waiting at most `block_ms` for one."""

    count: int
    block_ms: int
    pause_ms: int = 0


IDLE_BLOCK_MS: Final = 1_000
"""Wait of a reader that has nothing in hand."""

GATHER_MS: Final = 25
"""Between two reads of a batch that gathers: a read costs the same for one entry and for many."""


@dataclass
class Batch:
    """Entries in hand, since when."""

    policy: BatchPolicy
    entries: list[Entry] = field(default_factory=list)
    opened_at: float = 0.0

    def next_read(self, now: float) -> ReadPlan:
        """Return how to read next; only for a batch that is not due."""
        if not self.entries:
            return ReadPlan(self.policy.size, IDLE_BLOCK_MS)
        left_ms = math.ceil((self._closes_at - now) * 1000)
        pause_ms = min(GATHER_MS, left_ms)
        return ReadPlan(self.policy.size - len(self.entries), max(1, left_ms - pause_ms), pause_ms)

    def add(self, entries: list[Entry], now: float) -> None:
        """Take what a read brought."""
        if entries and not self.entries:
            self.opened_at = now
        self.entries.extend(entries)

    def is_due(self, now: float) -> bool:
        """Whether to write now."""
        return bool(self.entries) and (len(self.entries) >= self.policy.size or now >= self._closes_at)

    @property
    def _closes_at(self) -> float:
        return self.opened_at + min(self.policy.interval, self.policy.linger_ms / 1000)

    def take(self) -> list[Entry]:
        """Return the entries in hand and start anew."""
        taken, self.entries = self.entries, []
        return taken
