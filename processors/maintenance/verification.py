"""Verifies the aggregates every night."""

from __future__ import annotations

from datetime import datetime, timedelta

from runtime.settings import Settings
from storage.batches.verify import TableDrift
from storage.batches.verify_parts import last_success, verify_due
from storage.database.pool import Pool
from storage.retention.partition_weeks import raw_reach


def due_since(last: datetime | None, now: datetime, hour: int) -> datetime | None:
    """Return when the verification that is due became so; None if none is due. Pure.

    One is due every day from `hour` (UTC), -1 is never. The first one waits for that hour: it compares every day.
    """
    if hour < 0:
        return None
    moment = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    if moment > now:
        moment -= timedelta(days=1)
    if last is None:
        return moment if now - moment < timedelta(hours=1) else None
    return moment if last < moment else None


async def verify_nightly(pool: Pool, now: datetime, settings: Settings) -> list[TableDrift] | None:
    """Compare what is due and record the result; None if nothing is due. Raises StorageUnavailable.

    A verification that was interrupted continues with the next call.
    """
    since = due_since(await last_success(pool), now, settings.verify_hour)
    if since is None:
        return None
    return await verify_due(pool, now, since, raw_reach(settings.raw_retention), settings.system_metrics_retention)
