"""Figures about few learners are not told: who knows the group would learn something of its members."""

from __future__ import annotations

from typing import TypeVar

Figure = TypeVar("Figure")


class GroupFigures:
    """The figures about groups of learners in one answer; keeps the names of those it withholds."""

    def __init__(self, minimum: int) -> None:
        """`minimum`: least learners a figure may be about. Of nobody at all it may be: there is nobody to protect."""
        self._minimum = minimum
        self.suppressed: list[str] = []
        """Names of what was withheld; part of the answer."""

    def tell(self, name: str, figure: Figure, *, learners: int) -> Figure | None:
        """Return the figure, or None when it is about too few of them."""
        if 0 < learners < self._minimum:
            self.suppressed.append(name)
            return None
        return figure
