"""What ingest says of each event it was sent."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

VerdictStatus = Literal["accepted", "rejected", "retry"]


class Edit(BaseModel):
    """A change to an accepted event: it is stored otherwise than it was sent."""

    pointer: str = Field(description="JSON Pointer (RFC 6901) into the event.")
    code: str = Field(description="Why: stable, snake_case.")
    detail: str


class Verdict(BaseModel):
    """The fate of one event of a batch; `retry` means: send this one again, with this event_id."""

    index: int = Field(description="Position in the batch, from 0.")
    event_id: UUID | None = Field(default=None, description="The key it is stored by; None when it has none yet.")
    status: VerdictStatus
    code: str | None = Field(default=None, description="Why it was not accepted: stable, snake_case.")
    pointer: str | None = Field(default=None, description="JSON Pointer (RFC 6901) into the event.")
    detail: str | None = None
    edits: list[Edit] = Field(
        default=[], description="What is stored otherwise than it was sent; left out when nothing is."
    )


class BatchReply(BaseModel):
    """Answer to a batch: 202 when all were accepted, 207 when some were not."""

    received: int
    accepted: int
    rejected: int
    retry: int = Field(
        default=0, description="Events to send again: received = accepted + rejected + retry. Left out when 0."
    )
    results: list[Verdict]


class TrackReply(BaseModel):
    """Answer to a single event that was accepted."""

    event_id: UUID
    status: Literal["accepted"] = "accepted"
    edits: list[Edit] = Field(
        default=[], description="What is stored otherwise than it was sent; left out when nothing is."
    )
