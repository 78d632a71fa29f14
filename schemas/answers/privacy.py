"""What is answered about a learner's own data: all of it, and the receipt when it is gone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field


class ErasureReceipt(BaseModel):
    """An erasure and how far it is; the receipt once its state is `done`."""

    job_id: UUID
    state: Literal["requested", "sweeping", "done"] = Field(
        description="`sweeping`: the tables hold nothing more; entries of the stream wait until workers have read them."
    )
    requested_by: str = Field(description="Name of the service or person who asked for it.")
    requested_at: datetime = Field(description="From here on nothing new of the learner is stored.")
    completed_at: datetime | None
    removed: dict[str, int] = Field(
        description="Rows that were removed, by table, entries of the `stream`, and messages of the `live` history."
    )


class LearnerExport(BaseModel):
    """Everything that is held on a learner, as it is stored."""

    generated_at: datetime
    pseudonyms: list[str] = Field(description="Under which the learner is stored: hexadecimal, newest key first.")
    erased_at: datetime | None = Field(description="Since when the learner's events are kept out.")
    tables: dict[str, list[dict[str, Any]]] = Field(description="Rows by table.")
    live: list[dict[str, Any]] = Field(description="Messages of the live history, kept for subscribers.")
    stream: list[dict[str, str]] = Field(description="Entries of the stream, which also waits for what is not stored.")
