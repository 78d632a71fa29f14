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
        description="Pseudonym of the learner, hexadecimal; null when the platform acted for nobody."
    )
    session_id: UUID | None
    occurred_at: datetime
    received_at: datetime = Field(description="When ingest accepted it.")
    activity_date: date = Field(description="The learner's local day.")
    schema_version: int
    source: str = Field(description="Name of the service that sent it.")
    properties: dict[str, Any]


class EventPage(BaseModel):
    """Some of the events that were searched for, newest first."""

    meta: WindowMeta
    events: list[StoredEvent]
    next_cursor: str | None = Field(description="The `cursor` of the same query for the next page; null at the end.")
