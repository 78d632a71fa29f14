"""Answers about one learner, from their record. Pure."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from pydantic import BaseModel

from dashboard.answers.levels import LevelCurve, standing
from dashboard.answers.streaks import streaks
from dashboard.answers.windows import DayWindow
from schemas.answers.gamification import Achievement, GamificationProgress, XpDay
from schemas.answers.learning import HeatmapDay, LearningOverview
from schemas.answers.meta import DaysMeta
from storage.answers.aggregates import LearnerRecord

_MICROSECONDS_PER_SECOND = timedelta(seconds=1) // timedelta(microseconds=1)
_MICROSECONDS_PER_MINUTE = timedelta(minutes=1) // timedelta(microseconds=1)

_CACHED_DAYS: Final = 4_096
"""Maximum number of cached empty days: more than the longest window has."""


# most days of most learners are empty, and empty days are equal for everybody
@lru_cache(_CACHED_DAYS)
def _empty_square(day: date) -> bytes:
    return _json(HeatmapDay(date=day, activity_count=0, duration_minutes=0, xp_earned=0))


@lru_cache(_CACHED_DAYS)
def _no_xp(day: date) -> XpDay:
    return XpDay(date=day, xp=0)


def overview(record: LearnerRecord, window: DayWindow, curve: LevelCurve, meta: DaysMeta) -> LearningOverview:
    """Return the window in numbers; its last day is the reference day."""
    runs = streaks(record.active_dates, window.last)
    counts = {name: count for name, count in record.counts.items() if name in LearningOverview.model_fields}
    return LearningOverview(
        meta=meta,
        total_sessions=sum(day.sessions for day in record.days),
        open_sessions=sum(day.open_sessions for day in record.days),
        total_duration_seconds=sum(day.session_microseconds for day in record.days) / _MICROSECONDS_PER_SECOND,
        distinct_materials_viewed=record.distinct_materials_viewed,
        distinct_materials_completed=record.distinct_materials_completed,
        xp_earned=sum(day.xp_earned for day in record.days),
        active_days=sum(day.activity_count > 0 for day in record.days),
        achievements_earned=sum(achievement.activity_date in window for achievement in record.achievements),
        total_xp=record.total_xp,
        current_level=standing(curve, record.total_xp, record.highest_level).level,
        current_streak=runs.current,
        longest_streak=runs.longest,
        **counts,
    )


def heatmap(record: LearnerRecord, window: DayWindow, meta: DaysMeta) -> bytes:
    """Return a LearningHeatmap in JSON, with every day of the window."""
    known = {
        day.activity_date: _json(
            HeatmapDay(
                date=day.activity_date,
                activity_count=day.activity_count,
                duration_minutes=day.session_microseconds / _MICROSECONDS_PER_MINUTE,
                xp_earned=day.xp_earned,
            )
        )
        for day in record.days
    }
    days = b",".join(known.get(day) or _empty_square(day) for day in window)
    return b'{"meta":%b,"days":[%b]}' % (_json(meta), days)


def progress(record: LearnerRecord, window: DayWindow, curve: LevelCurve, meta: DaysMeta) -> GamificationProgress:
    """Return the learner's standing over all time and the XP of every day of the window."""
    xp = {day.activity_date: day.xp_earned for day in record.days}
    current = standing(curve, record.total_xp, record.highest_level)
    return GamificationProgress(
        meta=meta,
        current_xp=record.total_xp,
        current_level=current.level,
        xp_for_current_level=current.xp_for_level,
        xp_for_next_level=current.xp_for_next_level,
        progress_percentage=current.progress_percentage,
        achievements=[
            Achievement(achievement_id=earned.achievement_id, name=earned.name, earned_at=earned.earned_at)
            for earned in record.achievements
        ],
        xp_trend=[XpDay(date=day, xp=xp[day]) if day in xp else _no_xp(day) for day in window],
        reported_streak_days=record.reported_streak_days,
    )


def _json(part: BaseModel) -> bytes:
    return part.model_dump_json(by_alias=True).encode()
