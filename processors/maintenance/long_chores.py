"""The chores that may take long: those that remove rows past their retention, and the purge of Postgres' files."""

from __future__ import annotations

from datetime import timedelta

from processors.maintenance import purge
from processors.maintenance.chore import Chore
from processors.maintenance.verification import verify_nightly
from runtime.clock import utc_now
from runtime.settings import Settings
from storage.batches import id_conflicts
from storage.database.pool import Pool
from storage.retention import closed_weeks
from storage.retention import removal as retention


def long_chores(settings: Settings, pool: Pool) -> list[Chore]:
    """Return the chores that may keep a connection for hours."""

    async def drop_expired() -> str:
        return f"removed {await retention.drop_expired(pool, utc_now(), settings.raw_retention)}"

    async def prune_system_metrics() -> str:
        removed = await retention.prune_system_metrics(pool, utc_now(), settings.system_metrics_retention)
        return f"removed {removed}"

    async def prune_ledger() -> str:
        return f"removed {await retention.prune_ledger(pool, utc_now(), settings.event_retention)}"

    async def prune_dead_letters() -> str:
        return f"removed {await retention.prune_dead_letters(pool, utc_now(), settings.raw_retention)}"

    async def forget_conflicts() -> str:
        await id_conflicts.delete_conflicts(pool, utc_now() - settings.raw_retention)
        return "done"

    async def prune_audit_log() -> str:
        return f"removed {await retention.prune_audit_log(pool, utc_now())}"

    async def freeze_closed_weeks() -> str:
        return f"froze {await closed_weeks.freeze_closed_weeks(pool, utc_now())}"

    async def verify_aggregates() -> str:
        found = await verify_nightly(pool, utc_now(), settings)
        return "not due" if found is None else f"{sum(drift.missing + drift.unexpected for drift in found)} rows differ"

    async def purge_postgres() -> str:
        return f"finished {await purge.purge_postgres(pool, settings.erasure_purge):d}"

    hour = timedelta(hours=1)
    return [
        Chore("drop_expired", hour, drop_expired),
        Chore("freeze_closed_weeks", hour, freeze_closed_weeks),
        Chore("prune_system_metrics", hour, prune_system_metrics),
        Chore("prune_ledger", hour, prune_ledger),
        Chore("prune_dead_letters", hour, prune_dead_letters),
        Chore("forget_conflicts", hour, forget_conflicts),
        Chore("prune_audit_log", hour, prune_audit_log),
        Chore("verify_aggregates", hour, verify_aggregates),
        Chore("purge_postgres", timedelta(seconds=5), purge_postgres),
    ]
