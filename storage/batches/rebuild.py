"""Corrects aggregates: recomputes those that drifted, while ingest and reads continue.

Workers wait for the recomputation of a drifted table, and their events wait in the stream. Readers see the old rows
until the commit. A table without drift is not changed and not locked.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from storage.batches.rollups import ROLLUPS, Rollup
from storage.batches.verify import TableDrift, expiry_cutoff, unexpired, verify_aggregates
from storage.database.failures import translated_errors
from storage.database.locks import BATCH_LOCK
from storage.database.pool import Connection
from storage.stale_hours import forget_all, keep_from_refreshing


async def rebuild_aggregates(
    connection: Connection, now: datetime, system_metrics_retention: timedelta
) -> list[TableDrift]:
    """Recompute every drifted aggregate in one transaction; return the drift that was found.

    Reads every raw event. Raises StorageUnavailable.
    """
    found = await verify_aggregates(connection, now, system_metrics_retention)
    drifted = {drift.table for drift in found if not drift.is_clean}
    if drifted:
        cutoff = expiry_cutoff(now, system_metrics_retention)
        with translated_errors():
            async with connection.transaction():
                await keep_from_refreshing(connection)
                await connection.execute(f"SELECT pg_advisory_xact_lock({BATCH_LOCK})")
                for rollup in ROLLUPS:
                    if rollup.table in drifted:
                        await _recompute(connection, rollup, cutoff)
                await forget_all(connection)
    return found


async def _recompute(connection: Connection, rollup: Rollup, cutoff: datetime) -> None:
    arguments = [cutoff] if rollup.expires else []
    columns = ", ".join(rollup.columns)
    slot, slot_zero = (", slot", ", 0") if rollup.slotted else ("", "")
    # CREATE TABLE AS takes no parameters, so the table is created empty
    await connection.execute(
        f"CREATE TEMP TABLE truth ON COMMIT DROP AS SELECT {columns} FROM {rollup.table} WITH NO DATA"
    )
    await connection.execute(f"INSERT INTO truth {unexpired(rollup, rollup.recomputed())}", *arguments)
    expiry = f"WHERE {rollup.expires} >= $1" if rollup.expires else ""
    await connection.execute(f"DELETE FROM {rollup.table} {expiry}", *arguments)
    await connection.execute(
        f"INSERT INTO {rollup.table} ({columns}{slot}) SELECT {columns}{slot_zero} FROM truth"
        f" ORDER BY {', '.join(rollup.key)}"
    )
    await connection.execute("DROP TABLE truth")
