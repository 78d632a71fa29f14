"""When a batch is full enough. Pure: it is told the time and what came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from stream.consumer import Entry


@dataclass(frozen=True)
class BatchPolicy:
    """When a batch closes: at `size` entries, `interval` seconds after its first, or after `linger_ms` without any."""

    size: int
    interval: float
    linger_ms: int


@dataclass(frozen=True)
class ReadPlan:
    """How to read next: at most `count` entries, waiting at most `block_ms` for one."""

    count: int
    block_ms: int


IDLE_BLOCK_MS: Final = 1_000
"""Wait of a reader that has nothing in hand."""


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
        left_ms = int((self.opened_at + self.policy.interval - now) * 1000)
        return ReadPlan(self.policy.size - len(self.entries), max(1, min(self.policy.linger_ms, left_ms)))

    def add(self, entries: list[Entry], now: float) -> None:
        """Take what a read brought."""
        if entries and not self.entries:
            self.opened_at = now
        self.entries.extend(entries)

    def is_due(self, now: float, *, ran_dry: bool) -> bool:
        """Whether to write now; `ran_dry` says that the last read waited and brought nothing."""
        if not self.entries:
            return False
        return ran_dry or len(self.entries) >= self.policy.size or now - self.opened_at >= self.policy.interval

    def take(self) -> list[Entry]:
        """Return the entries in hand and start anew."""
        taken, self.entries = self.entries, []
        return taken
