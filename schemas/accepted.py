"""An event as it is stored: without the raw user id, with every time set."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID


class AcceptedEvent(NamedTuple):
    """One row of `analytics_events`, in the order of its columns."""

    event_id: UUID
    event_type: str
    user_hash: bytes | None
    """HMAC-SHA-256 of the user id, 32 bytes; None for a platform event without a learner."""
    session_id: UUID | None
    occurred_at: datetime
    """UTC."""
    received_at: datetime
    """UTC, by the clock of the ingest process."""
    activity_date: date
    """The learner's local date, by the UTC offset of the timestamp that was sent."""
    schema_version: int
    source: str
    """Name of the service whose API key sent the event."""
    properties: str
    """JSON object, compact, without absent properties."""
