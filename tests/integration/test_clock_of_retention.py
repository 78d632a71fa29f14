"""A clock of maintenance that is ahead removes nothing before its time."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from processors.maintenance import retention_chores as retention
from runtime.clock import utc_now
from runtime.settings import Settings
from schemas.entry import encode, pack
from storage.batches.batch import ReceivedEvent
from storage.batches.writer import BatchWriter
from storage.database.pool import Pool
from storage.retention.horizon import read_horizon
from tests.support.events import event

AHEAD = timedelta(days=150)


async def test_a_clock_that_is_ahead_removes_no_event(
    settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ahead() -> datetime:
        return utc_now() + AHEAD

    await BatchWriter(pool, 0).write(0, [ReceivedEvent("1-0", pack(encode(event("xp_earned", number=1))))], [])
    monkeypatch.setattr(retention, "utc_now", ahead)
    for chore in retention.retention_chores(settings, pool):
        await chore.run()
    assert await pool.fetchval("SELECT count(*) FROM analytics_events") == 1
    async with pool.acquire() as connection:
        assert await read_horizon(connection) < utc_now()


async def test_a_clock_that_is_behind_removes_later(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def behind() -> datetime:
        return utc_now() - AHEAD

    monkeypatch.setattr(retention, "utc_now", behind)
    assert await retention.agreed_now(pool) < utc_now() - AHEAD + timedelta(minutes=1)
