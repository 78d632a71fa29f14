"""The only place that reads the clock. Other code takes `now` as an argument. Compares it with clocks of servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """Return the current time in UTC, as an aware datetime."""
    return datetime.now(UTC)


def clock_skew(server: datetime, asked: datetime, answered: datetime) -> timedelta:
    """Return by how much a server's clock is ahead (negative: behind), at least. Pure.

    It was read between `asked` and `answered`; a slow answer is no skew.
    """
    if server > answered:
        return server - answered
    return min(server - asked, timedelta(0))
