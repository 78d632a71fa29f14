"""Events of gamification: XP, levels, achievements, streaks."""

from __future__ import annotations

from .property_types import Days, Identifier, Label, Level, Points, Properties


class XpEarnedProperties(Properties):
    xp_amount: Points
    source: Identifier | None = None


class LevelUpProperties(Properties):
    new_level: Level
    previous_level: Level | None = None


class AchievementEarnedProperties(Properties):
    achievement_id: Identifier
    achievement_name: Label | None = None
    xp_reward: Points | None = None


class StreakUpdateProperties(Properties):
    streak_days: Days
