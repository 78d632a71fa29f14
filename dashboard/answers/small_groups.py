"""Suppresses figures about small groups: they would reveal something about the members."""

from __future__ import annotations

from typing import TypeVar

Figure = TypeVar("Figure")


class GroupFigures:
    """The figures about groups of learners in one answer. Lists the names of suppressed figures."""

    def __init__(self, minimum: int) -> None:
        """`minimum`: minimum group size. A figure about nobody is not suppressed."""
        self._minimum = minimum
        self.suppressed: list[str] = []
        """Names of suppressed figures; part of the answer."""

    def figure(self, name: str, value: Figure, *, learners: int) -> Figure | None:
        """Return the value, or None when it is about too few learners."""
        if 0 < learners < self._minimum:
            self.suppressed.append(name)
            return None
        return value
