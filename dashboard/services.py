"""What the routes work with, put together once per process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from starlette.requests import HTTPConnection

from dashboard.callers import Gate
from dashboard.event_answers import ToldPage
from dashboard.freshness import Freshness
from dashboard.levels import LevelCurve
from dashboard.live.hub import Hub
from dashboard.live.places import Places
from dashboard.privacy_desk import PrivacyDesk
from dashboard.shared_answers import SharedAnswers
from schemas.accepted import AcceptedEvent
from storage.answers.aggregates import LearnerRecord, SystemRecord
from storage.answers.event_search import EventSearch, Place
from storage.privacy.audit import AuditEntry
from telemetry.health import Check


class Questions(Protocol):
    """What the routes ask of the database: `storage.answers.aggregates.Answers`. Both raise StorageUnavailable."""

    async def learner(
        self, pseudonyms: Sequence[bytes], today: date, days: int, now: datetime, session_timeout: timedelta
    ) -> LearnerRecord:
        """Return the learner known by any of the pseudonyms."""

    async def system(self, start: datetime, end: datetime, step: timedelta, endpoints: int) -> SystemRecord:
        """Return API health from `start` to `end`, which is not included."""


class Archive(Protocol):
    """Where single events are looked for: `storage.answers.event_search.EventArchive`."""

    async def page(self, search: EventSearch, limit: int, behind: Place | None = None) -> list[AcceptedEvent]:
        """Return the newest events behind a place. Raises SearchTooWide and StorageUnavailable."""


class Recorder(Protocol):
    """What keeps the record: `dashboard.audit_trail.AuditTrail`."""

    async def record(self, entry: AuditEntry) -> None:
        """Return once the entry is on record. Raises StorageUnavailable."""


@dataclass(frozen=True, slots=True)
class Services:
    """Collaborators and rules of every answer."""

    answers: Questions
    archive: Archive
    freshness: Freshness
    gate: Gate
    followers: Sequence[Callable[[asyncio.Event], Coroutine[Any, Any, None]]]
    """What keeps the gate's keys as they are elsewhere, until an event is set."""
    desk: PrivacyDesk
    audit: Recorder
    live: Hub
    live_places: Places
    curve: LevelCurve
    session_timeout: timedelta
    """Silence after which a session is closed, and the most of a silence that counts as time of the session."""
    system_metrics_retention: timedelta
    """How long API health is kept."""
    min_group_size: int
    """Least learners a figure may be about."""
    checks: Sequence[Check]
    """What `/readyz` looks at."""
    clock: Callable[[], datetime]
    cors_origins: Sequence[str]
    """Of pages that may read answers."""
    shows_page: bool
    """Whether `/` is the page to look at; only in development."""
    shared_metrics: SharedAnswers[bytes] = field(default_factory=SharedAnswers, init=False)
    """Of the platform, as they are sent."""
    shared_pages: SharedAnswers[ToldPage] = field(default_factory=SharedAnswers, init=False)
    """Of events that are searched for by time and type alone."""


def services_of(connection: HTTPConnection) -> Services:
    """Return what the application was made with."""
    services: Services = connection.app.state.services
    return services
