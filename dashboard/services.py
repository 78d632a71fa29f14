"""The collaborators of all questions, assembled once per process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from dashboard.access.authenticator import Authenticator
from dashboard.answers.event_page import RenderedPage
from dashboard.answers.levels import LevelCurve
from dashboard.freshness import Freshness
from dashboard.live.hub import Hub
from dashboard.live.subscriber_limits import SubscriberLimits
from dashboard.privacy.service import PrivacyService
from dashboard.shared_answers import SharedAnswers
from schemas.accepted import AcceptedEvent
from storage.answers.aggregates import LearnerRecord, SystemRecord
from storage.answers.event_search import EventPosition, EventSearch
from storage.privacy.audit import AuditEntry
from telemetry.health import Readiness


class Aggregates(Protocol):
    """Aggregates: `storage.answers.aggregates.Answers`. Both methods raise StorageUnavailable."""

    async def learner(
        self, pseudonyms: Sequence[bytes], today: date, days: int, now: datetime, session_timeout: timedelta
    ) -> LearnerRecord:
        """Return the record of the learner with any of the pseudonyms."""

    async def system(self, start: datetime, end: datetime, step: timedelta, endpoints: int) -> SystemRecord:
        """Return API health from `start`, included, to `end`, excluded."""


class Archive(Protocol):
    """Stored events: `storage.answers.event_search.EventArchive`."""

    async def page(self, search: EventSearch, limit: int, after: EventPosition | None = None) -> list[AcceptedEvent]:
        """Return the newest events after a position. Raises SearchTooWide and StorageUnavailable."""


class Recorder(Protocol):
    """The audit log: `dashboard.audit.AuditTrail`."""

    async def record(self, entry: AuditEntry) -> None:
        """Return once the entry is durable. Raises StorageUnavailable."""


@dataclass(frozen=True, slots=True)
class Services:
    """Collaborators and settings of every answer."""

    answers: Aggregates
    archive: Archive
    freshness: Freshness
    authenticator: Authenticator
    followers: Sequence[Callable[[asyncio.Event], Coroutine[Any, Any, None]]]
    """Loops beside the answers, until an event is set: keys of the authenticator, health of the platform."""
    privacy: PrivacyService
    audit: Recorder
    live: Hub
    subscriber_limits: SubscriberLimits
    curve: LevelCurve
    session_timeout: timedelta
    """Idle time that ends a session, and the maximum of an idle time that counts as time of the session."""
    system_metrics_retention: timedelta
    """Retention of API health."""
    min_group_size: int
    """Minimum group size. Figures about fewer learners are suppressed."""
    readiness: Readiness
    """Answers `/readyz`."""
    clock: Callable[[], datetime]
    cors_origins: Sequence[str]
    """Origins whose pages may read answers."""
    shows_page: bool
    """Whether `/` serves the page; only in development."""
    shared_metrics: SharedAnswers[bytes] = field(default_factory=SharedAnswers, init=False)
    """Answers about API health, in JSON."""
    shared_pages: SharedAnswers[RenderedPage] = field(default_factory=SharedAnswers, init=False)
    """Pages of events that are searched by time and type only."""
