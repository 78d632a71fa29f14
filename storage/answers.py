"""Questions of the read service, answered from aggregate tables only, one statement each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg

from storage.failures import translated_errors
from storage.rollups import SESSION_RESOLUTION

_SQL = Path(__file__).parent / "sql" / "answers"

ACQUIRE_TIMEOUT: Final = timedelta(seconds=5)
"""Longest an answer waits for a connection."""


class LearnerDay(NamedTuple):
    """One activity date on which something happened or a session started."""

    activity_date: date
    activity_count: int
    materials_viewed: int
    materials_completed: int
    xp_earned: int
    sessions: int
    open_sessions: int
    session_microseconds: int


class EarnedAchievement(NamedTuple):
    """An achievement at its first earning."""

    achievement_id: str
    name: str | None
    earned_at: datetime
    activity_date: date


@dataclass(frozen=True, slots=True)
class LearnerRecord:
    """A learner in one snapshot; empty for one who is not known."""

    reference_day: date
    """Last day of the window: today where the question comes from, or the learner's last activity date if later."""
    days: Sequence[LearnerDay]
    """Days of the window, oldest first."""
    distinct_materials_viewed: int
    """In the window, as the next."""
    distinct_materials_completed: int
    active_dates: Sequence[date]
    """All time, oldest first."""
    achievements: Sequence[EarnedAchievement]
    """All time, newest first."""
    total_xp: int
    highest_level: int | None
    """The highest level that was reported."""
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
    """Those with most requests, most first."""
    endpoint_latencies: Mapping[str, Mapping[int, int]]
    """Requests by latency bucket, of the same endpoints."""
    steps: Sequence[StepTotals]
    """Steps with requests, oldest first."""
    errors: Mapping[str, int]
    """Errors by type, most frequent first."""
    active_users: int


class Answers:
    """Reads through a pool that may only read. Every method raises StorageUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._learner = (_SQL / "learner.sql").read_text(encoding="utf-8")
        self._system = (_SQL / "system.sql").read_text(encoding="utf-8")

    async def learner(
        self, pseudonyms: Sequence[bytes], today: date, days: int, now: datetime, session_timeout: timedelta
    ) -> LearnerRecord:
        """Return the learner known by any of the pseudonyms, over the `days` dates up to the reference day.

        A session without an end is open until it has been silent for `session_timeout`. So much of a longer silence
        counts as time of the session; at least `SESSION_RESOLUTION`.
        """
        row = await self._row(
            self._learner, pseudonyms, today, days, now - session_timeout, session_timeout - SESSION_RESOLUTION
        )
        return LearnerRecord(
            reference_day=row["reference_day"],
            days=[LearnerDay(*day) for day in row["days"] or ()],
            distinct_materials_viewed=row["distinct_materials_viewed"],
            distinct_materials_completed=row["distinct_materials_completed"],
            active_dates=list(row["active_dates"] or ()),
            achievements=[EarnedAchievement(*achievement) for achievement in row["achievements"] or ()],
            total_xp=row["total_xp"],
            highest_level=row["highest_level"],
            reported_streak_days=row["reported_streak_days"],
        )

    async def system(self, start: datetime, end: datetime, step: timedelta, endpoints: int) -> SystemRecord:
        """Return API health from `start` to `end`, which both are starts of buckets, and of so many endpoints.

        `end` is not included. The window must be longer than an hour.
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

    async def ping(self) -> None:
        """Ask the database for nothing but an answer."""
        await self._row("SELECT 1")

    async def revision(self) -> str:
        """Return the revision the schema of the database is at."""
        row = await self._row("SELECT version_num FROM alembic_version")
        revision: str = row["version_num"]
        return revision

    async def _row(self, query: str, *arguments: object) -> asyncpg.Record:
        with translated_errors():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT.total_seconds()) as connection:
                row = await connection.fetchrow(query, *arguments)
        assert row is not None
        return row
