"""How fast the hub goes, and how it slows down. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from runtime.backoff import Backoff
from schemas.live import HEARTBEAT_SECONDS

_LONGEST_PAUSE: Final = 0.25
_RETRY: Final = Backoff(first=0.1, longest=2.0)


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of the live service, in seconds."""

    poll: float = 0.02
    """Between two looks at the timeline."""
    turn: float = 1.0
    """At least this often every subscriber looks whether something is due."""
    heartbeat: float = HEARTBEAT_SECONDS
    """Longest a subscriber is left without any frame."""

    def pause(self, took: float) -> float:
        """Return how long to gather messages after a round that took so long: rounds leave a third of the time."""
        return min(max(self.poll, took / 2), _LONGEST_PAUSE)

    def retry(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row; spread, so that processes do not all ask at once."""
        return _RETRY.equal_jitter(failures, random.random())

    def is_heartbeat_due(self, silent: float) -> bool:
        """Whether a silence of so long must end now, since the next look may be too late."""
        return silent >= self.heartbeat - self.turn
