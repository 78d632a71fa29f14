"""Measures how late the removal of data past its retention is."""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg

from storage.batches.rollups import RAW_EVENTS, ROLLUPS
from storage.database.failures import translated_errors
from storage.retention.partition_weeks import GRACE, expired_end
from storage.retention.partitions import partition_names


async def read_overdue(
    pool: asyncpg.Pool, now: datetime, raw_retention: timedelta, system_metrics_retention: timedelta
) -> dict[str, timedelta]:
    """Return by table how long ago its oldest row should have been removed; 0 if it is not past its retention.

    Raw events are measured by weekly partition, without those of mapped ids. Scans the dead letters and the audit log.
    Raises StorageUnavailable.
    """
    ends = [end for name in await partition_names(pool) if (end := expired_end(name, now, raw_retention))]
    overdue = {RAW_EVENTS: max((now - end - raw_retention - GRACE for end in ends), default=timedelta(0))}
    columns = {rollup.table: (rollup.expires, system_metrics_retention) for rollup in ROLLUPS if rollup.expires}
    columns |= {"dead_letters": ("parked_at", raw_retention), "audit_log": ("keep_until", timedelta(0))}
    with translated_errors():
        for table, (column, kept) in columns.items():
            oldest: datetime | None = await pool.fetchval(f"SELECT min({column}) FROM {table}")
            overdue[table] = max(now - oldest - kept, timedelta(0)) if oldest else timedelta(0)
    return overdue
