"""The summary of the last 30 days by hour, for dashboards that read SQL. Only changed hours are counted again.

Every stored event raises the count of its hour, in the transaction that stores it. So an hour with unchanged counts has
unchanged active users, unless rows of those were removed: `storage/stale_hours.py`.
"""

from __future__ import annotations

from typing import Final

import asyncpg

from schemas.catalogue import COUNTERS, LEARNER_EVENTS, EventType
from storage.batches.catalogue_sql import type_condition
from storage.database.failures import translated_errors
from storage.database.locks import SUMMARY_LOCK

_TYPES: Final = {
    "learner_events": LEARNER_EVENTS,
    "sessions_started": frozenset({EventType.SESSION_START}),
    **{name: COUNTERS[name] for name in ("materials_viewed", "materials_completed", "ai_messages", "searches")},
    "api_requests": frozenset({EventType.API_REQUEST}),
    "api_errors": frozenset({EventType.API_ERROR}),
}
"""The events that each column counts."""

_COUNTS: Final = ("events", *_TYPES, "xp_earned")
_COUNT_LIST: Final = ", ".join(_COUNTS)
_FILTERED: Final = ",\n           ".join(
    f"coalesce(sum(events) FILTER (WHERE {type_condition(types)}), 0)::bigint AS {name}"
    for name, types in _TYPES.items()
)

_REFRESH: Final = f"""
WITH counts AS MATERIALIZED (
    SELECT hour,
           sum(events)::bigint AS events,
           {_FILTERED},
           sum(xp)::bigint AS xp_earned
    FROM hourly_event_counts
    WHERE hour >= date_trunc('hour', now() - interval '30 days', 'UTC')
    GROUP BY hour
), gone AS (
    DELETE FROM hourly_summary AS held WHERE NOT EXISTS (SELECT FROM counts WHERE counts.hour = held.hour)
)
INSERT INTO hourly_summary AS t (hour, {_COUNT_LIST}, active_users)
SELECT counts.*, (SELECT count(*) FROM active_users_hourly AS active WHERE active.hour = counts.hour)
FROM counts LEFT JOIN hourly_summary AS held USING (hour)
WHERE ({", ".join(f"counts.{name}" for name in _COUNTS)})
    IS DISTINCT FROM ({", ".join(f"held.{name}" for name in _COUNTS)})
ORDER BY hour
ON CONFLICT (hour) DO UPDATE
SET {", ".join(f"{name} = EXCLUDED.{name}" for name in (*_COUNTS, "active_users"))}
"""

_PUBLISH: Final = "REFRESH MATERIALIZED VIEW CONCURRENTLY hourly_analytics_summary"

# a view without content, as an operator may leave it, cannot be refreshed concurrently
_IS_FILLED: Final = "SELECT relispopulated FROM pg_class WHERE oid = 'hourly_analytics_summary'::regclass"
_FILL: Final = "REFRESH MATERIALIZED VIEW hourly_analytics_summary"


async def refresh(pool: asyncpg.Pool) -> None:
    """Bring `hourly_analytics_summary` up to date. Readers see the old rows until it is done.

    Reads the counts of 30 days, and the active users of the hours that have changed. Erasures and rebuilds wait for it,
    batches never do. Raises StorageUnavailable.
    """
    with translated_errors():
        async with pool.acquire() as connection, connection.transaction():
            # an erasure must not remove active users between the snapshot of this statement and its commit
            await connection.execute(f"SELECT pg_advisory_xact_lock({SUMMARY_LOCK})")
            await connection.execute(_REFRESH)
        await pool.execute(_PUBLISH if await pool.fetchval(_IS_FILLED) else _FILL)
