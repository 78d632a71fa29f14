"""Stored events, page by page."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from .meta import WindowMeta


class StoredEvent(BaseModel):
    """An event as it is stored."""

    event_id: UUID
    event_type: str
    user_hash: str | None = Field(
        description="Pseudonym of the learner, hexadecimal; null for a platform event without a learner."
    )
    session_id: UUID | None
    occurred_at: datetime
    received_at: datetime = Field(description="When ingest accepted it.")
    activity_date: date = Field(description="The learner's local day.")
    schema_version: int
    source: str = Field(description="Name of the service that sent it.")
    properties: dict[str, Any]


class EventPage(BaseModel):
    """One page of the events that match a search, newest first."""

    meta: WindowMeta
    events: list[StoredEvent]
    next_cursor: str | None = Field(description="`cursor` of the next page of the same query; null on the last page.")
