"""Inserts rows of aggregate tables directly, without the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID, uuid4

import asyncpg
from asyncpg import Range

from schemas.catalogue import COUNTERS


class Aggregates:
    """Inserts single rows. Columns that a test does not name have neutral values."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def day(
        self, user_hash: bytes, day: date, *, count: int = 1, viewed: int = 0, completed: int = 0, xp: int = 0
    ) -> None:
        row = {
            "user_hash": user_hash,
            "activity_date": day,
            "activity_count": count,
            "xp_earned": xp,
            **dict.fromkeys(COUNTERS, 0),
            "materials_viewed": viewed,
            "materials_completed": completed,
        }
        await self._connection.copy_records_to_table(
            "daily_activity_summary", records=[tuple(row.values())], columns=list(row)
        )

    async def session(
        self,
        user_hash: bytes,
        day: date,
        started_at: datetime,
        last_event_at: datetime,
        *,
        session_id: UUID | None = None,
        ended_at: datetime | None = None,
        reported_us: int | None = None,
        reported_ms: int | None = None,
        reported_at: datetime | None = None,
        activity: Sequence[Range[datetime]] = (),
    ) -> None:
        """Without `activity` the row has the form of the last release; without `reported_us` so does its duration."""
        reported_at = None if reported_us is None else reported_at or last_event_at
        report_id = None if reported_us is None else uuid4()
        times = (started_at, uuid4(), day, last_event_at, ended_at, reported_ms, 1)
        report = (reported_us, reported_at, report_id)
        await self._insert("learning_sessions", (user_hash, session_id or uuid4(), *times, list(activity), *report))

    async def material(
        self,
        user_hash: bytes,
        material_id: str,
        *,
        viewed_on: date | None = None,
        completed_on: date | None = None,
    ) -> None:
        views, completions = int(viewed_on is not None), int(completed_on is not None)
        await self._insert("learner_materials", (user_hash, material_id, views, completions, viewed_on, completed_on))

    async def stats(
        self,
        user_hash: bytes,
        *,
        xp: int = 0,
        level: int | None = None,
        streak: int | None = None,
        streak_at: datetime | None = None,
    ) -> None:
        moment = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
        streak_event = uuid4() if streak is not None else None
        await self._insert(
            "gamification_stats", (user_hash, xp, level, streak, streak_at, streak_event, 1, moment, moment)
        )

    async def achievement(
        self, user_hash: bytes, achievement_id: str, earned_at: datetime, *, name: str | None = None
    ) -> None:
        await self._insert(
            "learner_achievements", (user_hash, achievement_id, earned_at, uuid4(), earned_at.date(), name, 1)
        )

    async def requests(
        self, start: datetime, endpoint: str, bucket: int, requests: int, *, server_errors: int = 0, slot: int = 0
    ) -> None:
        await self._insert("system_metrics", (start, endpoint, bucket, slot, requests, 0, server_errors))

    async def errors(self, start: datetime, error_type: str, errors: int, *, slot: int = 0) -> None:
        await self._insert("system_errors", (start, "/any", error_type, slot, errors))

    async def active(self, user_hash: bytes, first: datetime, last: datetime) -> None:
        hour = first.replace(minute=0, second=0, microsecond=0)
        await self._insert("active_users_hourly", (hour, user_hash, first, last))

    async def _insert(self, table: str, row: Sequence[object]) -> None:
        await self._connection.copy_records_to_table(table, records=[tuple(row)])
