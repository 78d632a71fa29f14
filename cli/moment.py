"""Moments as people type them: an age such as `24h`, or a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from runtime.errors import ConfigurationError

_AGE: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_moment(text: str, now: datetime) -> datetime:
    """Return the moment meant, in UTC; a time without an offset is in UTC. Raises ValueError."""
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is neither an age such as 24h nor a time such as 2026-11-24T10:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def option_moment(option: str, text: str, now: datetime) -> datetime:
    """Return the moment that an option is given. Raises ConfigurationError, which names the option."""
    try:
        return parse_moment(text, now)
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}") from None
