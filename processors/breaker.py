"""When so much would be parked that the entries are not what is wrong. Pure: it is told what became of each entry.

A bad release or a wrong schema makes every event look like poison. Dead-lettering them all would empty the stream into
a table that somebody must clean up; stopping leaves them where they are. The idea is arroyo's DlqLimit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

LEAST_SEEN: Final = 100
"""The share is of so many entries at least, else the first bad entry after a start would be all there is."""


@dataclass(frozen=True)
class BreakerPolicy:
    """How much may be parked: `max_ratio` of the last `window` entries, `max_consecutive` in a row; 0 is no limit."""

    max_ratio: float
    max_consecutive: int
    window: int


@dataclass
class Breaker:
    """What became of the last entries of one partition: True for each that was parked."""

    policy: BreakerPolicy
    _recent: deque[bool] = field(init=False)
    _run: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._recent = deque(maxlen=self.policy.window)

    def judge(self, parked: Sequence[bool]) -> str | None:
        """Return which limit these further entries would exceed, in words for people; None when none."""
        if not any(parked):
            return None
        longest = longest_run(parked, self._run)
        if 0 < self.policy.max_consecutive < longest:
            return f"{longest} entries in a row, the limit is {self.policy.max_consecutive}"
        # A batch larger than the window is judged as a whole.
        recent = [*self._recent, *parked][-max(self.policy.window, len(parked)) :]
        most = self.policy.max_ratio * max(len(recent), min(LEAST_SEEN, self.policy.window))
        if 0 < most < sum(recent):
            return f"{sum(recent)} of the last {len(recent)} entries, the limit is {self.policy.max_ratio:.2%}"
        return None

    def record(self, parked: Sequence[bool]) -> None:
        """Take note of what became of entries, in their order."""
        self._recent.extend(parked)
        for one in parked:
            self._run = self._run + 1 if one else 0


def longest_run(parked: Sequence[bool], before: int) -> int:
    """Return the most parked entries in a row, when `before` of them came directly before these."""
    longest = run = before
    for one in parked:
        run = run + 1 if one else 0
        longest = max(longest, run)
    return longest
