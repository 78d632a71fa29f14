"""From XP to levels."""

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
        # no level beyond this costs less than `base`
        candidates = range(1, total_xp // self.base + 2)
        return bisect_right(candidates, total_xp, key=self.threshold)


@dataclass(frozen=True, slots=True)
class Standing:
    """A learner's place on the curve."""

    level: int
    xp_for_level: int
    xp_for_next_level: int
    progress_percentage: float
    """0 to 100."""


def standing(curve: LevelCurve, total_xp: int, highest_level: int | None) -> Standing:
    """Place a learner: by the curve, or at the highest level that was reported where that is higher."""
    level = max(curve.level(total_xp), highest_level or 1)
    floor, ceiling = curve.threshold(level), curve.threshold(level + 1)
    # a reported level can be ahead of the XP
    gained = max(total_xp - floor, 0)
    return Standing(level, floor, ceiling, 100 * gained / (ceiling - floor))
