"""Timestamp formats of Segment's clients, and the correction of a sender's clock that is ahead. Pure."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

MIN_SKEW: Final = timedelta(minutes=1)
"""A clock that is ahead by at most this is not corrected."""

_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_ISO_8601: Final = re.compile(
    r"""(?P<year>\d{4})(?P<dash>-?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)
    (?:[Tt]|\ +)
    (?P<hour>\d\d)(?P<colon>:?)(?P<minute>\d\d)(?:(?P=colon)(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?
    \ *(?:(?P<utc>[Zz]|UTC|GMT)|(?P<sign>[+\u2212-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?(?:\ UTC)?)""",
    re.ASCII | re.VERBOSE,
)
_SIGNS: Final = {"+": "+", "-": "-", "\u2212": "-"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS: Final = range(10**9, 10**11)
_MILLISECONDS: Final = range(10**12, 10**14)
"""Unix times in milliseconds, from 2001 to 5138. Disjoint from those in seconds, so the unit is unambiguous."""


def as_rfc_3339(moment: Any) -> Any:
    """Return an unambiguous time in RFC 3339 form. Anything else is returned unchanged, for validation to reject.

    Accepts ISO 8601, basic or extended, with a date, a time of at least hours and minutes and an offset, and numbers of
    seconds or milliseconds since 1970.
    """
    if isinstance(moment, str):
        if _RFC_3339.fullmatch(moment):
            return moment
        found = _ISO_8601.fullmatch(moment.strip())
        return moment if found is None else _written(found)
    if isinstance(moment, float) and not math.isfinite(moment):
        return moment
    return _of_number(moment) if isinstance(moment, int | float) and not isinstance(moment, bool) else moment


def clock_ahead(sent_at: Any, now: datetime) -> timedelta | None:
    """Return by how much the clock of a sender is ahead of ours; None if it is not ahead by more than MIN_SKEW.

    A `sentAt` in the past proves nothing: the message may have been sent before, and be sent again.
    """
    stamp = _read(as_rfc_3339(sent_at))
    if stamp is None:
        return None
    ahead = stamp - now
    return ahead if ahead > MIN_SKEW else None


def moved_back(moment: Any, by: timedelta) -> Any:
    """Return a time moved back by `by`, in its own offset. A value that is not a time is returned unchanged."""
    stamp = _read(moment)
    try:
        return moment if stamp is None else (stamp - by).isoformat()
    except OverflowError:
        return moment


def _written(found: re.Match[str]) -> str:
    offset = "Z" if found["utc"] else f"{_SIGNS[found['sign']]}{found['hours']}:{found['minutes'] or '00'}"
    fraction = f".{found['fraction']}" if found["fraction"] else ""
    date = f"{found['year']}-{found['month']}-{found['day']}"
    return f"{date}T{found['hour']}:{found['minute']}:{found['second'] or '00'}{fraction}{offset}"


def _of_number(moment: float) -> Any:
    whole = int(moment)
    if whole in _MILLISECONDS:
        return (_EPOCH + timedelta(milliseconds=moment)).isoformat()
    return (_EPOCH + timedelta(seconds=moment)).isoformat() if whole in _SECONDS else moment


def _read(moment: Any) -> datetime | None:
    try:
        stamp = datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        return None
    return None if stamp.tzinfo is None else stamp
