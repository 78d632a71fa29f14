"""How long to wait before a process that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A process that ran this long was well: its next failure counts as the first."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The failures in a row so far."""

    failures: int = 0

    def after(self, uptime: float) -> Backoff:
        """Count one more end, of a process that ran for `uptime` seconds."""
        return Backoff(1 if uptime >= STEADY_SECONDS else self.failures + 1)

    @property
    def delay(self) -> float:
        """Seconds to wait now: doubles with each failure up to a limit."""
        return min(FIRST_SECONDS * 2.0 ** max(self.failures - 1, 0), LONGEST_SECONDS)
