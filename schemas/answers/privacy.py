"""Answers about a learner's data: the export, and the state of an erasure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field


class ErasureReceipt(BaseModel):
    """An erasure and its state. It is the receipt once the state is `done`."""

    job_id: UUID
    state: Literal["requested", "sweeping", "done"] = Field(
        description="`sweeping`: the tables are clean; entries of the stream are removed once workers have read them."
    )
    requested_by: str = Field(description="Name of the service or person who requested it.")
    requested_at: datetime = Field(description="From this time, no new events of the learner are stored.")
    completed_at: datetime | None
    removed: dict[str, int] = Field(
        description="Number of removed rows by table, of entries (`stream`) and of live messages (`live`)."
    )


class LearnerExport(BaseModel):
    """All stored data about a learner, as it is stored."""

    generated_at: datetime
    pseudonyms: list[str] = Field(description="Pseudonyms of the learner, hexadecimal, newest key first.")
    erased_at: datetime | None = Field(description="Time from which the learner's events are suppressed.")
    tables: dict[str, list[dict[str, Any]]] = Field(description="Rows by table.")
    live: list[dict[str, Any]] = Field(description="Messages of the live history.")
    stream: list[dict[str, str]] = Field(description="Entries of the stream, including those that are not stored yet.")
