"""Inserts raw events into the table directly, without the pipeline."""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg

from schemas.accepted import AcceptedEvent


async def archive(connection: asyncpg.Connection, events: Iterable[AcceptedEvent]) -> None:
    """Insert the events into the table."""
    columns = [*AcceptedEvent._fields, "stream_partition", "entry_id"]
    rows = [(*event, 0, f"{event.event_id}-0") for event in events]
    await connection.copy_records_to_table("analytics_events", records=rows, columns=columns)
