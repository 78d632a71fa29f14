"""How long to wait before trying again; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_RETRY_AFTER: Final = 3_600.0
"""Seconds a server may ask us to wait."""


@dataclass(frozen=True)
class Backoff:
    """Full jitter: any time up to a limit that doubles with every failure. Seconds."""

    first: float
    longest: float
    luck: Callable[[], float]
    """Gives numbers in [0, 1)."""

    def delay(self, failures: int) -> float:
        """Return the wait after so many failures in a row, 1 or more."""
        return self.luck() * min(self.first * 2.0 ** min(failures - 1, 30), self.longest)


def retry_after_seconds(header: str | None, now: datetime) -> float:
    """Return how long a Retry-After header asks to wait, given as seconds or as a date; 0 when it does not say."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        seconds = float(header)
    else:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return 0.0
        seconds = (moment.replace(tzinfo=moment.tzinfo or timezone.utc) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
