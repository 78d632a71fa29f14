"""The type of a maintenance chore."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Chore:
    """A periodic piece of work. `run` returns a summary for the log; it may raise DependencyUnavailable."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[str]]
