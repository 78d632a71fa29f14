"""Daily counts of events that were dropped because another event has the same id. `analytics doctor` reports them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final, Literal, NamedTuple

import asyncpg

from storage.database.failures import translated_errors
from storage.database.pool import Connection

Difference = Literal["event_type", "learner"]

_COUNT: Final = """
INSERT INTO event_id_conflicts AS t (book_date, source, stored_source, differs, events)
VALUES ((now() AT TIME ZONE 'UTC')::date, $1, $2, $3, $4)
ON CONFLICT (book_date, source, stored_source, differs) DO UPDATE SET events = t.events + EXCLUDED.events
"""

_SINCE: Final = """
SELECT source, stored_source, differs, sum(events)::bigint AS events FROM event_id_conflicts
WHERE book_date >= $1
GROUP BY source, stored_source, differs ORDER BY events DESC, source, stored_source, differs
"""

_DELETE: Final = "DELETE FROM event_id_conflicts WHERE book_date <= $1"


class ConflictKind(NamedTuple):
    """The two services of a conflict, and the difference between the two events."""

    source: str
    stored_source: str
    differs: Difference
    """`event_type`: the types differ, and possibly the learners; `learner`: only the learners differ."""


async def count_conflicts(pool: asyncpg.Pool, counts: Mapping[ConflictKind, int]) -> None:
    """Add to today's counts. Raises StorageUnavailable; some of the counts may then have been added."""
    with translated_errors():
        for kind, events in sorted(counts.items()):
            await pool.execute(_COUNT, *kind, events)


async def read_conflicts(connection: Connection, since: date) -> dict[ConflictKind, int]:
    """Return the number of dropped events of each kind since a day, largest first. Raises StorageUnavailable."""
    with translated_errors():
        rows = await connection.fetch(_SINCE, since)
    return {ConflictKind(row["source"], row["stored_source"], row["differs"]): row["events"] for row in rows}


async def delete_conflicts(pool: asyncpg.Pool, until: datetime) -> None:
    """Delete the counts of days through `until`. Raises StorageUnavailable."""
    with translated_errors():
        await pool.execute(_DELETE, until.date())
