"""Options that take a time: an age such as `24h`, or an ISO 8601 date or time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from runtime.errors import ConfigurationError

_AGE: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_time(option: str, text: str, now: datetime) -> datetime:
    """Return the time given with an option, in UTC.

    An age is subtracted from `now`. A time without an offset is in UTC. Raises ConfigurationError.
    """
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{option}: {text!r} is neither an age such as 24h nor a time such as 2026-11-24T10:00"
        ) from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
