"""Verifies the aggregates every night."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from runtime.settings import Settings
from storage.batches.verify import TableDrift
from storage.batches.verify_parts import has_begun, last_success, verify_due
from storage.database.pool import Pool
from storage.retention.partition_weeks import raw_reach

_FIRST_BEGINS: Final = timedelta(hours=2)
"""Longer than between two turns of the chore."""


def due_since(last: datetime | None, now: datetime, hour: int, *, begun: bool = False) -> datetime | None:
    """Return when the verification that is due became so; None if none is due. Pure.

    One is due every day from `hour` (UTC), -1 is never. The first one waits for that hour, since it compares every
    day; once it has `begun`, it is due until it has succeeded.
    """
    if hour < 0:
        return None
    moment = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    if moment > now:
        moment -= timedelta(days=1)
    if last is None:
        return moment if begun or now - moment < _FIRST_BEGINS else None
    return moment if last < moment else None


async def verify_nightly(pool: Pool, now: datetime, settings: Settings) -> list[TableDrift] | None:
    """Compare what is due and record the result; None if nothing is due. Raises StorageUnavailable.

    A verification that was interrupted continues with the next call.
    """
    since = due_since(await last_success(pool), now, settings.verify_hour, begun=await has_begun(pool))
    if since is None:
        return None
    return await verify_due(pool, now, since, raw_reach(settings.raw_retention), settings.system_metrics_retention)
