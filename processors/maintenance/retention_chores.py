"""The chores that remove what is past its retention."""

from __future__ import annotations

from datetime import datetime, timedelta

from processors.maintenance.chore import Chore
from runtime.clock import utc_now
from runtime.settings import Settings
from storage.batches import id_conflicts
from storage.database import usage
from storage.database.pool import Pool
from storage.retention import removal as retention


async def agreed_now(pool: Pool) -> datetime:
    """Return the earlier time of this machine and of Postgres. Raises StorageUnavailable.

    A clock that is ahead would remove data before its time, and nothing brings it back.
    """
    return min(utc_now(), await usage.read_time(pool))


def retention_chores(settings: Settings, pool: Pool) -> list[Chore]:
    """Return the chores of retention. Each may keep a connection for hours."""

    async def drop_expired() -> str:
        return f"removed {await retention.drop_expired(pool, await agreed_now(pool), settings.raw_retention)}"

    async def prune_system_metrics() -> str:
        now = await agreed_now(pool)
        return f"removed {await retention.prune_system_metrics(pool, now, settings.system_metrics_retention)}"

    async def prune_ledger() -> str:
        return f"removed {await retention.prune_ledger(pool, await agreed_now(pool), settings.event_retention)}"

    async def prune_dead_letters() -> str:
        return f"removed {await retention.prune_dead_letters(pool, await agreed_now(pool), settings.raw_retention)}"

    async def forget_conflicts() -> str:
        await id_conflicts.delete_conflicts(pool, await agreed_now(pool) - settings.raw_retention)
        return "done"

    async def prune_audit_log() -> str:
        return f"removed {await retention.prune_audit_log(pool, await agreed_now(pool))}"

    hour = timedelta(hours=1)
    return [
        Chore("drop_expired", hour, drop_expired),
        Chore("prune_system_metrics", hour, prune_system_metrics),
        Chore("prune_ledger", hour, prune_ledger),
        Chore("prune_dead_letters", hour, prune_dead_letters),
        Chore("forget_conflicts", hour, forget_conflicts),
        Chore("prune_audit_log", hour, prune_audit_log),
    ]
