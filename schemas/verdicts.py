"""Answers of ingest: the verdict of each event."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

VerdictStatus = Literal["accepted", "rejected", "retry"]


class Edit(BaseModel):
    """A change to an accepted event: the stored value differs from the value that was sent."""

    pointer: str = Field(description="JSON Pointer (RFC 6901) into the event.")
    code: str = Field(description="Reason of the change: stable, snake_case.")
    detail: str


class Verdict(BaseModel):
    """The verdict of one event of a batch. `retry`: send the event again, with this event_id."""

    index: int = Field(description="Position in the batch, from 0.")
    event_id: UUID | None = Field(default=None, description="Id under which the event is stored, if it has one.")
    status: VerdictStatus
    code: str | None = Field(default=None, description="Why the event was not accepted: stable, snake_case.")
    pointer: str | None = Field(default=None, description="JSON Pointer (RFC 6901) into the event.")
    detail: str | None = None
    edits: list[Edit] = Field(default=[], description="Changes before storage. Omitted when there are none.")


class BatchReply(BaseModel):
    """Answer to a batch: 202 when all were accepted, 207 when some were not."""

    received: int
    accepted: int
    rejected: int
    retry: int = Field(
        default=0, description="Number of events to send again: received = accepted + rejected + retry. Omitted when 0."
    )
    results: list[Verdict]


class TrackReply(BaseModel):
    """Answer to a single event that was accepted."""

    event_id: UUID
    status: Literal["accepted"] = "accepted"
    edits: list[Edit] = Field(default=[], description="Changes before storage. Omitted when there are none.")
