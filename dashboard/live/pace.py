"""Intervals of the hub, and how they grow under load. Pure."""

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
    """Intervals of the live service, in seconds."""

    poll: float = 0.02
    """Between two reads of the timeline."""
    turn: float = 1.0
    """Maximum between two checks of every subscriber."""
    heartbeat: float = HEARTBEAT_SECONDS
    """Maximum between two frames of a subscriber."""

    def pause(self, took: float) -> float:
        """Return the pause after a round that took `took` seconds. It leaves a third of the time free."""
        return min(max(self.poll, took / 2), _LONGEST_PAUSE)

    def retry(self, failures: int) -> float:
        """Return the jittered backoff after consecutive failures."""
        return _RETRY.equal_jitter(failures, random.random())

    def is_heartbeat_due(self, silent: float) -> bool:
        """Whether a heartbeat must be sent now: the next check may be too late."""
        return silent >= self.heartbeat - self.turn
