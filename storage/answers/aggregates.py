"""Answers of the read service: one statement each, over aggregate tables only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg

from schemas.catalogue import COUNTERS
from storage.batches.catalogue_sql import COUNTER_SUMS
from storage.batches.rollups import SESSION_RESOLUTION
from storage.database.failures import translated_errors

_SQL = Path(__file__).parent / "sql"

ACQUIRE_TIMEOUT: Final = timedelta(seconds=5)
"""Maximum time an answer waits for a connection."""


class LearnerDay(NamedTuple):
    """An activity date with an event or the start of a session. `learner.sql` selects these fields by name."""

    activity_date: date
    activity_count: int
    xp_earned: int
    sessions: int
    open_sessions: int
    session_microseconds: int


class EarnedAchievement(NamedTuple):
    """The first earning of an achievement. `learner.sql` selects these fields by name."""

    achievement_id: str
    name: str | None
    earned_at: datetime
    activity_date: date


@dataclass(frozen=True, slots=True)
class LearnerRecord:
    """A learner in one snapshot; empty for an unknown learner."""

    reference_day: date
    """Last day of the window: today in the caller's time zone, or the learner's last activity date if later."""
    days: Sequence[LearnerDay]
    """Days of the window, oldest first."""
    counts: Mapping[str, int]
    """Number of events in the window for each counter of the catalogue."""
    distinct_materials_viewed: int
    """In the window."""
    distinct_materials_completed: int
    """In the window."""
    active_dates: Sequence[date]
    """All time, oldest first."""
    achievements: Sequence[EarnedAchievement]
    """All time, newest first."""
    total_xp: int
    highest_level: int | None
    """The highest reported level."""
    reported_streak_days: int | None


class EndpointTotals(NamedTuple):
    """Requests of one endpoint."""

    endpoint: str
    requests: int
    server_errors: int


class StepTotals(NamedTuple):
    """Requests of one step of a window."""

    start: datetime
    requests: int
    server_errors: int


@dataclass(frozen=True, slots=True)
class SystemRecord:
    """API health in one snapshot."""

    latencies: Mapping[int, int]
    """Requests by latency bucket."""
    endpoints: Sequence[EndpointTotals]
    """Endpoints with the most requests, most first."""
    endpoint_latencies: Mapping[str, Mapping[int, int]]
    """Requests by latency bucket, for the same endpoints."""
    steps: Sequence[StepTotals]
    """Steps with requests, oldest first."""
    errors: Mapping[str, int]
    """Errors by type, most frequent first."""
    active_users: int


@dataclass(frozen=True, slots=True)
class RecentRequests:
    """Requests to the platform's API since a moment."""

    latencies: Mapping[int, int]
    """Requests by latency bucket."""
    server_errors: int


class Answers:
    """Reads through a read-only pool. Every method raises StorageUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._learner = (
            (_SQL / "learner.sql")
            .read_text(encoding="utf-8")
            .format(
                counter_sums=COUNTER_SUMS,
                counters=", ".join(COUNTERS),
                day=", ".join(LearnerDay._fields),
                achievement=", ".join(EarnedAchievement._fields),
            )
        )
        self._system = (_SQL / "system.sql").read_text(encoding="utf-8")
        self._recent_requests = (_SQL / "recent_requests.sql").read_text(encoding="utf-8")

    async def learner(
        self, pseudonyms: Sequence[bytes], today: date, days: int, now: datetime, session_timeout: timedelta
    ) -> LearnerRecord:
        """Return the learner of these pseudonyms, over the `days` dates up to the reference day.

        `session_timeout` must be at least `SESSION_RESOLUTION`. A session without an end is open until that much time
        has passed since its last event. A longer gap between two events counts as `session_timeout` of session time.
        """
        row = await self._row(
            self._learner, pseudonyms, today, days, now - session_timeout, session_timeout - SESSION_RESOLUTION
        )
        return LearnerRecord(
            reference_day=row["reference_day"],
            days=[LearnerDay(*day) for day in row["days"] or ()],
            counts={counter: count or 0 for counter, count in zip(COUNTERS, row["counts"], strict=True)},
            distinct_materials_viewed=row["distinct_materials_viewed"],
            distinct_materials_completed=row["distinct_materials_completed"],
            active_dates=list(row["active_dates"] or ()),
            achievements=[EarnedAchievement(*achievement) for achievement in row["achievements"] or ()],
            total_xp=row["total_xp"],
            highest_level=row["highest_level"],
            reported_streak_days=row["reported_streak_days"],
        )

    async def system(self, start: datetime, end: datetime, step: timedelta, endpoints: int) -> SystemRecord:
        """Return API health from `start` to `end` (excluded), with at most `endpoints` endpoints.

        Both are starts of buckets. The window must be longer than an hour.
        """
        row = await self._row(self._system, start, end, step, endpoints)
        by_endpoint: dict[str, dict[int, int]] = {}
        for endpoint, bucket, requests in row["endpoint_latencies"] or ():
            by_endpoint.setdefault(endpoint, {})[bucket] = requests
        return SystemRecord(
            latencies=dict(row["latencies"] or ()),
            endpoints=[EndpointTotals(*totals) for totals in row["endpoints"] or ()],
            endpoint_latencies=by_endpoint,
            steps=[StepTotals(*totals) for totals in row["steps"] or ()],
            errors=dict(row["errors"] or ()),
            active_users=row["active_users"],
        )

    async def recent_requests(self, start: datetime) -> RecentRequests:
        """Return the requests since `start`, which is the start of a bucket."""
        with translated_errors():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT.total_seconds()) as connection:
                rows = await connection.fetch(self._recent_requests, start)
        return RecentRequests(
            {row["latency_bucket"]: row["requests"] for row in rows}, sum(row["server_errors"] for row in rows)
        )

    async def ping(self) -> None:
        """Check that the database answers."""
        await self._row("SELECT 1")

    async def revision(self) -> str:
        """Return the schema revision of the database."""
        row = await self._row("SELECT version_num FROM alembic_version")
        revision: str = row["version_num"]
        return revision

    async def _row(self, query: str, *arguments: object) -> asyncpg.Record:
        with translated_errors():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT.total_seconds()) as connection:
                row = await connection.fetchrow(query, *arguments)
        assert row is not None
        return row
