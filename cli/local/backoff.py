"""Backoff between restarts of a process that ends by itself."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""After an uptime of this length the next failure counts as the first."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The number of consecutive failures."""

    failures: int = 0

    def after(self, uptime: float) -> Backoff:
        """Return the backoff after one more failure of a process that ran for `uptime` seconds."""
        return Backoff(1 if uptime >= STEADY_SECONDS else self.failures + 1)

    @property
    def delay(self) -> float:
        """Seconds until the next start: doubles with each failure, up to a limit."""
        return min(FIRST_SECONDS * 2.0 ** max(self.failures - 1, 0), LONGEST_SECONDS)
