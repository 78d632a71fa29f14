"""An event as it is stored: no raw user id, every time decided."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID


class AcceptedEvent(NamedTuple):
    """One row of `analytics_events`, in the order of its columns."""

    event_id: UUID
    event_type: str
    user_hash: bytes | None
    """HMAC-SHA-256 of the user id, 32 bytes; None when the platform acted for nobody."""
    session_id: UUID | None
    occurred_at: datetime
    """UTC."""
    received_at: datetime
    """UTC, the clock of the ingest process."""
    activity_date: date
    """The learner's local day, by the offset of the timestamp that was sent."""
    schema_version: int
    source: str
    """Name of the service whose key sent it."""
    properties: str
    """JSON object, compact, without absent properties."""
