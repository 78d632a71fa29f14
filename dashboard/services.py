"""What the routes work with, put together once per process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request

from dashboard.callers import Gate
from dashboard.freshness import Freshness
from dashboard.levels import LevelCurve
from storage.answers import Answers
from telemetry.health import Check


@dataclass(frozen=True, slots=True)
class Services:
    """Collaborators and rules of every answer."""

    answers: Answers
    freshness: Freshness
    gate: Gate
    curve: LevelCurve
    session_timeout: timedelta
    """Silence after which a session counts as closed."""
    checks: Sequence[Check]
    """What `/readyz` looks at."""
    clock: Callable[[], datetime]
    shows_page: bool
    """Whether `/` is the page to look at; only in development."""


def services_of(request: Request) -> Services:
    """Return what the application was made with."""
    services: Services = request.app.state.services
    return services
