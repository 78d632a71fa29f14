"""The environment in which a case runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cases.case import Case
from tests.support.assembled import Assembled


@dataclass(frozen=True)
class Stage:
    """A running system and a directory that only this case uses."""

    system: Assembled
    directory: Path


Script = Callable[[Case, Stage], Awaitable[None]]
"""Runs a case that is described in prose and checks its result. Raises AssertionError."""
