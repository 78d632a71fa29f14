"""Backoff between restarts of a process that ends by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runtime.backoff import Backoff

BACKOFF: Final = Backoff(first=0.5, longest=30.0)
STEADY_SECONDS: Final = 60.0
"""After running for this long a process is healthy: its next failure counts as the first."""


@dataclass(frozen=True, slots=True)
class RestartBackoff:
    """The number of failures of a process in a row."""

    failures: int = 0

    def after(self, uptime: float) -> RestartBackoff:
        """Return the backoff after a process that ran for `uptime` seconds ended once more."""
        return RestartBackoff(1 if uptime >= STEADY_SECONDS else self.failures + 1)

    @property
    def delay(self) -> float:
        """How long to wait now, in seconds. There is no jitter: each process restarts on its own."""
        return BACKOFF.ceiling(max(self.failures, 1))
