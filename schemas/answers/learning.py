"""Answers about a learner's sessions, materials and days."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, Field

from .meta import Count, DaysMeta


class LearningOverview(BaseModel):
    """A learner's last days in numbers."""

    meta: DaysMeta
    total_sessions: Count = Field(description="Sessions that started on a day of the window.")
    open_sessions: Count = Field(description="Those of them without an end and not yet silent for the session timeout.")
    total_duration_seconds: float = Field(
        ge=0,
        description="Time in those sessions: as reported at their end, at most 24 hours each; else the gaps between"
        " their events, each counted up to the session timeout.",
    )
    materials_viewed: Count = Field(description="Views in the window; the same material may be among them repeatedly.")
    materials_completed: Count = Field(description="Completions in the window, as above.")
    distinct_materials_viewed: Count = Field(description="Different materials viewed in the window.")
    distinct_materials_completed: Count = Field(description="Different materials completed in the window.")
    xp_earned: Count = Field(description="In the window.")
    active_days: Count = Field(description="Days of the window with at least one learner event.")
    achievements_earned: Count = Field(description="Achievements first earned on a day of the window.")
    total_xp: Count = Field(description="All time.")
    current_level: int = Field(ge=1, description="All time.")
    current_streak: Count = Field(description="Consecutive active days up to `meta.to` or the day before.")
    longest_streak: Count = Field(description="All time.")


class HeatmapDay(BaseModel):
    """One square of the calendar."""

    date: date
    activity_count: Count = Field(description="Learner events.")
    duration_minutes: float = Field(ge=0, description="Time in the sessions that started on this day.")
    xp_earned: Count


class LearningHeatmap(BaseModel):
    """A learner's calendar: every day of the window, oldest first, also those without activity."""

    meta: DaysMeta
    days: list[HeatmapDay]
