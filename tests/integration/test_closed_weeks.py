"""Vacuum of large tables: often for hot ones, and once for a week of raw events that is over."""

from __future__ import annotations

from datetime import timedelta

import asyncpg

from schemas.entry import encode, pack
from storage.batches.batch import ReceivedEvent
from storage.batches.rollups import RETIRED, ROLLUPS
from storage.batches.writer import BatchWriter
from storage.database.pool import Pool
from storage.retention.closed_weeks import freeze_closed_weeks
from storage.retention.partitions import ensure_partitions
from storage.retention.removal import drop_expired
from tests.support.events import NOW, event

WEEK = timedelta(days=7)
MONTH = timedelta(days=30)

OPTIONS = "SELECT reloptions FROM pg_class WHERE oid = $1::text::regclass"
PARTITION = "SELECT tableoid::regclass::text FROM analytics_events WHERE event_id = $1"


async def test_hot_tables_are_vacuumed_early_and_fast(database: asyncpg.Connection) -> None:
    for rollup in ROLLUPS:
        for table in (rollup.table, f"{RETIRED}.{rollup.table}"):
            options = await database.fetchval(OPTIONS, table)
            assert "autovacuum_vacuum_scale_factor=0.02" in options
            assert "autovacuum_vacuum_cost_limit=2000" in options


async def test_every_raw_partition_is_vacuumed_while_it_grows(pool: Pool, database: asyncpg.Connection) -> None:
    assert await ensure_partitions(pool, NOW + 10 * WEEK, MONTH) > 0
    rows = await database.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'analytics_events'::regclass"
    )
    for row in rows:
        assert "autovacuum_vacuum_insert_scale_factor=0.05" in await database.fetchval(OPTIONS, row["name"])


async def test_a_week_that_is_over_is_frozen_once(pool: Pool, database: asyncpg.Connection) -> None:
    old = event("xp_earned", {"xp_amount": 1}, occurred_at=NOW - 3 * WEEK)
    new = event("xp_earned", {"xp_amount": 1}, number=1)
    entries = [ReceivedEvent(f"{number}-0", pack(encode(one))) for number, one in enumerate((old, new), 1)]
    await BatchWriter(pool, 0).write(0, entries, [])
    assert await freeze_closed_weeks(pool, NOW) > 3
    assert await freeze_closed_weeks(pool, NOW) == 0

    closed, current = [await database.fetchval(PARTITION, one.event_id) for one in (old, new)]
    frozen = {row["partition"] for row in await database.fetch("SELECT partition FROM frozen_weeks")}
    assert closed in frozen
    assert current not in frozen
    # nothing in the table is as old as the transaction that wrote its row
    unfrozen = await database.fetchval("SELECT age(relfrozenxid) FROM pg_class WHERE oid = $1::text::regclass", closed)
    assert unfrozen < await database.fetchval(f"SELECT age(xmin) FROM {closed}")


async def test_a_week_that_is_removed_leaves_no_record_behind(pool: Pool, database: asyncpg.Connection) -> None:
    await freeze_closed_weeks(pool, NOW)
    await drop_expired(pool, NOW, MONTH)
    assert await database.fetchval("SELECT count(*) FROM frozen_weeks WHERE to_regclass(partition) IS NULL") == 0
    assert await database.fetchval("SELECT count(*) FROM frozen_weeks") > 0
    assert await freeze_closed_weeks(pool, NOW) == 0
