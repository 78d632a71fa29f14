"""Checks for stored times that lie in the future: the clock was ahead when they were stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import asyncpg

from runtime.diagnosis import MAX_SKEW, Finding, check
from storage.database.failures import translated_errors

_AHEAD: Final = """
SELECT what, max(at) FROM (
    SELECT 'the retention horizon' AS what, greatest(ordered_before, mapped_before) AS at FROM retention_horizon
    UNION ALL SELECT 'an open erasure', requested_at FROM erasure_jobs WHERE completed_at IS NULL
    UNION ALL SELECT 'bytes of erased learners', greatest(since, latest, asked_at) FROM erasure_residue
    UNION ALL SELECT 'a verification', last_success_at FROM verify_results
    UNION ALL SELECT 'a verification', verified_at FROM verified_parts
    UNION ALL SELECT 'a loss of Redis', noticed_at FROM stream_losses
) AS stored
WHERE at > now() + $1::interval
GROUP BY what ORDER BY what
"""


async def read_times_ahead(connection: asyncpg.Connection) -> dict[str, datetime]:
    """Return the stored times that are ahead of the clock of Postgres, by what they are of. Raises StorageUnavailable.

    Each is the time of something that has happened.
    """
    with translated_errors():
        return {what: at for what, at in await connection.fetch(_AHEAD, MAX_SKEW)}


def check_times(ahead: Mapping[str, datetime]) -> Finding:
    """Check that no stored time of something that has happened lies in the future."""
    listed = [f"{what} is of {at:%Y-%m-%d %H:%M} UTC" for what, at in ahead.items()]
    return check(
        "postgres.times",
        not ahead,
        f"in the future: {', '.join(listed)}" if listed else "no stored time lies in the future",
        "correct the clocks, then these times: see `Times in the future` in docs/operations.md. Until then new events"
        " may be parked, and overdue work appears to be on time",
    )
