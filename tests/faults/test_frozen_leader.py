"""A leader of maintenance that freezes is replaced within seconds, and writes nothing when it resumes."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import asyncpg
import pytest

from runtime.failpoints import Failpoint
from runtime.settings import Settings
from storage.batches.verify import verify_aggregates
from stream.server.connection import Redis
from tests.support.checker import assert_nothing_lost
from tests.support.doomed import Doomed
from tests.support.entries import append_events
from tests.support.events import NOW, event
from tests.support.fleet import running
from tests.support.processes import is_stopped
from tests.support.waiting import eventually
from tests.support.working import working

OLD = NOW - timedelta(days=60)
MONTH = {"ANALYTICS_RAW_RETENTION_DAYS": "30"}

SESSIONS = (
    "SELECT DISTINCT application_name FROM pg_stat_activity WHERE application_name LIKE 'analytics-maintenance/%'"
)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("moment", [Failpoint.BEFORE_REFRESH, Failpoint.AFTER_RETIRE])
async def test_another_process_leads_and_the_frozen_one_writes_nothing(
    settings: Settings, redis: Redis, database: asyncpg.Connection, moment: Failpoint
) -> None:
    events = [event("xp_earned", {"xp_amount": 1}, number=number, occurred_at=OLD) for number in range(30)]
    sent = {one.event_id for one in events}
    await append_events(redis, events)
    async with working(settings):
        await assert_nothing_lost(settings, sent, sent)

    frozen = await Doomed.start("maintenance", settings, MONTH | {"ANALYTICS_FAILPOINT": f"{moment}:stop"})
    try:
        await eventually(lambda: is_stopped(frozen.pid))
        of_frozen: int = await database.fetchval("SELECT epoch FROM maintenance_epoch")
        async with running(settings, ["maintenance"], **MONTH):

            async def is_replaced() -> bool:
                epoch: int = await database.fetchval("SELECT epoch FROM maintenance_epoch")
                return epoch > of_frozen

            await eventually(is_replaced)
            await eventually(lambda: database.fetchval("SELECT count(*) = 0 FROM analytics_events"))
            os.kill(frozen.pid, signal.SIGCONT)
            assert await frozen.stop() == 0
            assert [row[0] for row in await database.fetch(SESSIONS)] == [f"analytics-maintenance/{of_frozen + 1}"]
    finally:
        frozen.kill()
    assert await database.fetchval("SELECT sum(events)::int FROM retired.hourly_event_counts") == 30
    drift = await verify_aggregates(database, NOW, settings.system_metrics_retention)
    assert [table for table in drift if not table.is_clean] == []
