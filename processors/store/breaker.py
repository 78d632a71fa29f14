"""Decides when a worker stops instead of parking more entries. Pure.

A bad release or a wrong schema makes every event look like poison. Parking them all would empty the stream into
`dead_letters`; stopping leaves them in the stream. The design follows arroyo's DlqLimit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

MIN_SEEN: Final = 100
"""The ratio is taken of at least this many entries, so that the first bad entry after a start does not exceed it."""


@dataclass(frozen=True)
class BreakerPolicy:
    """How many entries may be parked: `max_ratio` of the last `window`, `max_consecutive` in a row; 0 is no limit."""

    max_ratio: float
    max_consecutive: int
    window: int


@dataclass
class Breaker:
    """The recent entries of one partition: True for each that was parked."""

    policy: BreakerPolicy
    _recent: deque[bool] = field(init=False)
    _run: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._recent = deque(maxlen=self.policy.window)

    def exceeded_limit(self, parked: Sequence[bool]) -> str | None:
        """Return the limit that these further entries would exceed, as text for people; None if they exceed none."""
        if not any(parked):
            return None
        longest = longest_run(parked, self._run)
        if 0 < self.policy.max_consecutive < longest:
            return f"{longest} entries in a row, the limit is {self.policy.max_consecutive}"
        # a batch larger than the window counts as a whole
        recent = [*self._recent, *parked][-max(self.policy.window, len(parked)) :]
        most = self.policy.max_ratio * max(len(recent), min(MIN_SEEN, self.policy.window))
        if 0 < most < sum(recent):
            return f"{sum(recent)} of the last {len(recent)} entries, the limit is {self.policy.max_ratio:.2%}"
        return None

    def record(self, parked: Sequence[bool]) -> None:
        """Record entries, in their order."""
        self._recent.extend(parked)
        for one in parked:
            self._run = self._run + 1 if one else 0


def longest_run(parked: Sequence[bool], before: int) -> int:
    """Return the longest run of parked entries; `before` parked entries precede these directly."""
    longest = run = before
    for one in parked:
        run = run + 1 if one else 0
        longest = max(longest, run)
    return longest
