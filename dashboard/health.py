"""What `/readyz` of the read service looks at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from runtime.errors import StorageUnavailable
from storage.answers.aggregates import Answers
from stream.lag import GroupLag
from telemetry.health import Check


def readiness(
    answers: Answers,
    head_revision: str,
    ping: Callable[[], Awaitable[str]],
    measure: Callable[[], Awaitable[Sequence[GroupLag]]],
) -> list[Check]:
    """Return the checks: Postgres, its schema, Redis, and how far the tables are behind the stream."""

    async def postgres() -> str:
        await answers.ping()
        return "answers"

    async def migrations() -> str:
        return judge_revision(await answers.revision(), head_revision)

    async def lag() -> str:
        return describe_lag(await measure())

    return [Check("postgres", postgres), Check("migrations", migrations), Check("redis", ping), Check("lag", lag)]


def judge_revision(revision: str, head: str) -> str:
    """Return the revision; one newer than this code is no fault. Raises StorageUnavailable for an older one."""
    if revision < head:
        raise StorageUnavailable("not_migrated", f"at {revision}, this code needs {head}: run `analytics migrate`")
    return revision


def describe_lag(lags: Sequence[GroupLag]) -> str:
    """Say how far behind the tables are. Redis may not know the entries for a while, the seconds it always knows."""
    counts = [lag.undelivered for lag in lags]
    known = [count for count in counts if count is not None]
    entries = f"{sum(known)}" if len(known) == len(counts) else "an unknown number of"
    return f"{entries} entries, {max(lag.seconds for lag in lags):.1f} s"
