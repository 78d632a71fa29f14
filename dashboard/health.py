"""Readiness checks of the read service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from runtime.errors import StorageUnavailable
from storage.answers.aggregates import Answers
from stream.entries.lag import GroupLag
from telemetry.health import Check


def readiness_checks(
    answers: Answers,
    head_revision: str,
    ping: Callable[[], Awaitable[str]],
    measure: Callable[[], Awaitable[Sequence[GroupLag]]],
) -> list[Check]:
    """Return the checks: Postgres, its schema, Redis, and the lag of the tables behind the stream."""

    async def postgres() -> str:
        await answers.ping()
        return "answers"

    async def migrations() -> str:
        return check_revision(await answers.revision(), head_revision)

    async def lag() -> str:
        return describe_lag(await measure())

    return [Check("postgres", postgres), Check("migrations", migrations), Check("redis", ping), Check("lag", lag)]


def check_revision(revision: str, head: str) -> str:
    """Return the revision. Raises StorageUnavailable if it is older than `head`; a newer one is accepted."""
    if revision < head:
        raise StorageUnavailable("not_migrated", f"at {revision}, this code needs {head}: run `analytics migrate`")
    return revision


def describe_lag(lags: Sequence[GroupLag]) -> str:
    """Return the lag in words. Redis may not report the number of entries for a while; the seconds are always known."""
    counts = [lag.undelivered for lag in lags]
    known = [count for count in counts if count is not None]
    entries = f"{sum(known)}" if len(known) == len(counts) else "an unknown number of"
    return f"{entries} entries, {max(lag.seconds for lag in lags):.1f} s"
