"""Rates, from two samples. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cli.top.facts import GroupFacts, RedisFacts, Sample


@dataclass(frozen=True, slots=True)
class Rate:
    """Entries a second of a group; None where two samples do not tell."""

    appended: float | None
    settled: float | None


UNKNOWN = Rate(None, None)


def rates(previous: Sample | None, current: Sample) -> dict[tuple[int, str], Rate]:
    """Return the rate of each group in each partition, by the clock of Redis."""
    if not isinstance(current.redis, RedisFacts):
        return {}
    before = (
        {(one.partition, one.group): one for one in previous.redis.groups}
        if previous is not None and isinstance(previous.redis, RedisFacts)
        else {}
    )
    return {
        (one.partition, one.group): _rate(before.get((one.partition, one.group)), one) for one in current.redis.groups
    }


def total(all_rates: Iterable[Rate]) -> Rate:
    """Return the sum of rates; None if one of them is unknown."""
    found = list(all_rates)
    return Rate(_sum([one.appended for one in found]), _sum([one.settled for one in found]))


def _rate(before: GroupFacts | None, after: GroupFacts) -> Rate:
    if before is None:
        return UNKNOWN
    seconds = (after.lag.redis_now - before.lag.redis_now).total_seconds()
    return Rate(
        _per_second(before.books.appended, after.books.appended, seconds),
        _per_second(before.books.settled, after.books.settled, seconds),
    )


def _per_second(before: int | None, after: int | None, seconds: float) -> float | None:
    # a stream that was emptied counts from zero again
    if before is None or after is None or after < before or seconds <= 0:
        return None
    return (after - before) / seconds


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
