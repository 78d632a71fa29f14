"""Delays between retries. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_RETRY_AFTER: Final = 3_600.0
"""Maximum of a Retry-After, in seconds."""


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter: a random time up to a limit that doubles with each failure. Seconds."""

    first: float
    longest: float
    random_fraction: Callable[[], float]
    """Returns a random number in [0, 1)."""

    def delay(self, failures: int) -> float:
        """Return the delay after this many consecutive failures (1 or more), in seconds."""
        return self.random_fraction() * min(self.first * 2.0 ** min(failures - 1, 30), self.longest)


def retry_after_seconds(header: str | None, now: datetime) -> float:
    """Return the seconds of a Retry-After header, a number or a date; 0 if it is missing or invalid."""
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
