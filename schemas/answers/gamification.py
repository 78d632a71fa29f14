"""The answer about a learner's XP, level, achievements and streak."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field

from .meta import Count, DaysMeta


class Achievement(BaseModel):
    """An achievement, when it was first earned."""

    achievement_id: str
    name: str | None
    earned_at: datetime


class XpDay(BaseModel):
    """XP of one day."""

    date: date
    xp: Count


class GamificationProgress(BaseModel):
    """A learner's XP, level and achievements, and the XP of each day."""

    meta: DaysMeta
    current_xp: Count = Field(description="Total XP, all time.")
    current_level: int = Field(ge=1)
    xp_for_current_level: Count = Field(description="Total XP at which the level curve reaches the current level.")
    xp_for_next_level: Count = Field(description="Total XP at which it reaches the next one.")
    progress_percentage: float = Field(ge=0, le=100, description="Progress from the one to the other, in percent.")
    achievements: list[Achievement] = Field(description="All time, newest first.")
    xp_trend: list[XpDay] = Field(description="Every day of the window, oldest first.")
    reported_streak_days: int | None = Field(description="Value of the last `streak_update`, not verified.")
