"""Where a case is played."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cases.case import Case
from tests.support.assembled import Assembled


@dataclass(frozen=True)
class Stage:
    """A running system, and a directory of one case alone."""

    system: Assembled
    place: Path


Script = Callable[[Case, Stage], Awaitable[None]]
"""Plays and judges a case that is told in words."""
