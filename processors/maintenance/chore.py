"""What a chore of maintenance is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Chore:
    """A piece of maintenance and how often it is due."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[str]]
