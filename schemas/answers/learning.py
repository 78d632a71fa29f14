"""Answers about a learner's sessions, materials and days."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, Field

from .meta import Count, DaysMeta


class LearningOverview(BaseModel):
    """Figures of a learner's last days."""

    meta: DaysMeta
    total_sessions: Count = Field(description="Sessions that started on a day of the window.")
    open_sessions: Count = Field(description="Those without an end that had an event within the session timeout.")
    total_duration_seconds: float = Field(
        ge=0,
        description="Time in those sessions: the duration reported at the end, at most 24 hours each. Without one: the"
        " gaps between events, each counted up to the session timeout.",
    )
    materials_viewed: Count = Field(description="Views in the window. Repeated views count.")
    materials_completed: Count = Field(description="Completions in the window. Repeated completions count.")
    distinct_materials_viewed: Count = Field(description="Different materials viewed in the window.")
    distinct_materials_completed: Count = Field(description="Different materials completed in the window.")
    xp_earned: Count = Field(description="XP earned in the window.")
    active_days: Count = Field(description="Days of the window with at least one learner event.")
    achievements_earned: Count = Field(description="Achievements first earned on a day of the window.")
    total_xp: Count = Field(description="XP of all time.")
    current_level: int = Field(ge=1, description="Level of all time.")
    current_streak: Count = Field(description="Consecutive active days up to `meta.to` or the day before.")
    longest_streak: Count = Field(description="Longest streak of all time, in days.")


class HeatmapDay(BaseModel):
    """One day of the heatmap."""

    date: date
    activity_count: Count = Field(description="Number of learner events.")
    duration_minutes: float = Field(ge=0, description="Time in the sessions that started on this day.")
    xp_earned: Count


class LearningHeatmap(BaseModel):
    """A learner's activity by day: every day of the window, oldest first, including days without activity."""

    meta: DaysMeta
    days: list[HeatmapDay]
