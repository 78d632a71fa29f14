"""Levels from XP. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LevelCurve:
    """Level 2 costs `base` XP, each further level `growth` more than the one before."""

    base: int
    """At least 1."""
    growth: int
    """At least 0."""

    def threshold(self, level: int) -> int:
        """Return the total XP at which a level, 1 or more, is reached."""
        steps = level - 1
        return steps * self.base + self.growth * steps * (steps - 1) // 2

    def level(self, total_xp: int) -> int:
        """Return the highest level whose threshold `total_xp`, 0 or more, reaches."""
        # each level costs at least `base`
        candidates = range(1, total_xp // self.base + 2)
        return bisect_right(candidates, total_xp, key=self.threshold)


@dataclass(frozen=True, slots=True)
class Standing:
    """A learner's level and progress on the curve."""

    level: int
    xp_for_level: int
    xp_for_next_level: int
    progress_percentage: float
    """0 to 100."""


def standing(curve: LevelCurve, total_xp: int, highest_level: int | None) -> Standing:
    """Return the standing of a learner: the level of the curve, or the highest reported level if that is higher."""
    level = max(curve.level(total_xp), highest_level or 1)
    floor, ceiling = curve.threshold(level), curve.threshold(level + 1)
    # a reported level may exceed the level of the XP
    gained = max(total_xp - floor, 0)
    return Standing(level, floor, ceiling, 100 * gained / (ceiling - floor))
