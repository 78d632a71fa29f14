"""The materialized view of the dashboards."""

from __future__ import annotations

import asyncpg

from storage.database.failures import translated_errors


async def refresh(pool: asyncpg.Pool) -> None:
    """Refresh `hourly_analytics_summary`. Readers see the old rows until it is done. Raises StorageUnavailable."""
    with translated_errors():
        await pool.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY hourly_analytics_summary")
