"""Decides when a batch is due and how to read the next entries. Pure: the time is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from stream.entries.entry import Entry


@dataclass(frozen=True)
class BatchPolicy:
    """When a batch closes: at `size` entries, or `linger_ms` after its first, or `interval` seconds if that is sooner.

    During a backlog every read is full, so batches fill at once. Otherwise entries gather for a bounded time.
    """

    size: int
    interval: float
    linger_ms: int


@dataclass(frozen=True)
class ReadPlan:
    """The next read: pause for `pause_ms`, then read up to `count` entries, blocking for up to `block_ms`."""

    count: int
    block_ms: int
    pause_ms: int = 0


IDLE_BLOCK_MS: Final = 1_000
"""How long a read blocks while the batch is empty."""

GATHER_MS: Final = 25
"""Pause between two reads of one batch: a read costs the same for one entry and for many."""


@dataclass
class Batch:
    """Entries that will be written together, and when the first one was read."""

    policy: BatchPolicy
    entries: list[Entry] = field(default_factory=list)
    opened_at: float = 0.0

    def next_read(self, now: float) -> ReadPlan:
        """Return the next read. Only for a batch that is not due."""
        if not self.entries:
            return ReadPlan(self.policy.size, IDLE_BLOCK_MS)
        left_ms = math.ceil((self._closes_at - now) * 1000)
        pause_ms = min(GATHER_MS, left_ms)
        return ReadPlan(self.policy.size - len(self.entries), max(1, left_ms - pause_ms), pause_ms)

    def add(self, entries: list[Entry], now: float) -> None:
        """Add the entries of a read."""
        if entries and not self.entries:
            self.opened_at = now
        self.entries.extend(entries)

    def is_due(self, now: float) -> bool:
        """Whether to write the batch now."""
        return bool(self.entries) and (len(self.entries) >= self.policy.size or now >= self._closes_at)

    @property
    def _closes_at(self) -> float:
        return self.opened_at + min(self.policy.interval, self.policy.linger_ms / 1000)
