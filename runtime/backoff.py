"""Exponential backoff with jitter: the wait between attempts, spread so that many clients do not retry at once.

Source: Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MAX_DOUBLINGS: Final = 30
"""Keeps the power in the range of a float."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """A wait that doubles with every consecutive failure, from `first` to `longest` seconds. Pure.

    `failures` counts from 1. `chance` is a random number in [0, 1).
    """

    first: float
    longest: float

    def ceiling(self, failures: int) -> float:
        """Return the longest wait after this number of failures, in seconds."""
        return min(self.first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS), self.longest)

    def full_jitter(self, failures: int, chance: float) -> float:
        """Return a wait between 0 and the ceiling, in seconds. It spreads clients the most."""
        return chance * self.ceiling(failures)

    def equal_jitter(self, failures: int, chance: float) -> float:
        """Return a wait between half the ceiling and the ceiling, in seconds. It is never zero."""
        return (1 + chance) / 2 * self.ceiling(failures)
