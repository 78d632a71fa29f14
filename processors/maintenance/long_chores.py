"""The chores that may take long: retention, verification, freezing of weeks, and the purge of Postgres' files."""

from __future__ import annotations

from datetime import timedelta

from processors.maintenance import purge
from processors.maintenance.chore import Chore
from processors.maintenance.retention_chores import retention_chores
from processors.maintenance.verification import verify_nightly
from runtime.clock import utc_now
from runtime.settings import Settings
from storage.database.pool import Pool
from storage.retention import closed_weeks


def long_chores(settings: Settings, pool: Pool) -> list[Chore]:
    """Return the chores that may keep a connection for hours."""

    async def freeze_closed_weeks() -> str:
        return f"froze {await closed_weeks.freeze_closed_weeks(pool, utc_now())}"

    async def verify_aggregates() -> str:
        found = await verify_nightly(pool, utc_now(), settings)
        return "not due" if found is None else f"{sum(drift.missing + drift.unexpected for drift in found)} rows differ"

    async def purge_postgres() -> str:
        return f"finished {await purge.purge_postgres(pool, settings.erasure_purge):d}"

    hour = timedelta(hours=1)
    return [
        *retention_chores(settings, pool),
        Chore("freeze_closed_weeks", hour, freeze_closed_weeks),
        Chore("verify_aggregates", hour, verify_aggregates),
        Chore("purge_postgres", timedelta(seconds=5), purge_postgres),
    ]
