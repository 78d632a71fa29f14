"""Events that leave the raw table: what they gave to each aggregate stays in the schema `retired`.

An aggregate therefore always equals `retired` merged with a recomputation from the raw events that are left.
"""

from __future__ import annotations

from typing import Final

from storage.batches.rollups import RETIRED, ROLLUPS
from storage.database.pool import Connection
from storage.retention.horizon import fates_insert

LEAVING: Final = "leaving"
"""Temporary table of the events that the current transaction removes."""

_SLOT: Final = 0


async def leaving_table(connection: Connection) -> None:
    """Create the table, empty, for the current transaction."""
    await connection.execute(f"CREATE TEMP TABLE {LEAVING} (LIKE analytics_events) ON COMMIT DROP")


async def keep_contribution(connection: Connection) -> None:
    """Add the rollups of the leaving events to `retired`, and record the fates of their entries."""
    for rollup in ROLLUPS:
        await connection.fetch(rollup.upsert(LEAVING, schema=RETIRED), *([_SLOT] if rollup.slotted else []))
    await connection.execute(fates_insert(LEAVING, "retired"))
