"""Workers on a real stream and database store everything once, also after failures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cli.local.embedded.postgres import Postgres
from processors.maintenance import process as maintenance
from processors.store import worker
from processors.store.id_conflicts import ConflictCounter
from runtime.settings import Settings
from storage.batches.verify import Books, read_books, verify_aggregates
from storage.database.migrate import upgrade
from stream.entries.groups import ensure_group
from stream.entries.lag import GroupLag, measure
from stream.keys import STORE_GROUP, stream_key
from telemetry import metrics
from tests.support.entries import append_events, stream_entries
from tests.support.events import event, learner
from tests.support.waiting import eventually

KEY = stream_key(0)
Run = Callable[[Settings, asyncio.Event], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def running(run: Run, settings: Settings) -> AsyncIterator[None]:
    """Run a process of the pipeline for the block, then stop it gracefully."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run(settings, stop))
        try:
            yield
        finally:
            stop.set()


async def settled(redis: Redis, partition: int = 0) -> GroupLag:
    """Wait until no entry is waiting or pending."""

    async def nothing_waits() -> bool:
        lag = await measure(redis, partition)
        return lag.appended > 0 and lag.undelivered == 0 and lag.pending == 0

    await eventually(nothing_waits)
    return await measure(redis, partition)


async def pending_is(redis: Redis, count: int) -> None:
    """Wait until workers hold this number of entries."""

    async def holds() -> bool:
        return (await measure(redis, 0)).pending == count

    await eventually(holds)


async def books(database: asyncpg.Connection) -> Books:
    return (await read_books(database))[0]


async def assert_no_drift(database: asyncpg.Connection) -> None:
    found = await verify_aggregates(database, datetime.now(UTC), timedelta(days=30))
    assert [table for table in found if not table.is_clean] == []


async def test_every_event_is_stored_once_by_two_workers(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    events = [event("xp_earned", {"xp_amount": 1}, number=n, user_hash=learner(n % 20)) for n in range(1_000)]
    await append_events(redis, events + events[:100])
    async with running(worker.run, settings), running(worker.run, settings):
        lag = await settled(redis)
    assert await books(database) == Books(1_000, 100, 0, 0)
    assert (await books(database)).settled == lag.appended
    assert await database.fetchval("SELECT sum(total_xp)::int FROM gamification_stats") == 1_000
    await assert_no_drift(database)


async def test_partitions_are_all_read(settings: Settings, redis: Redis, database: asyncpg.Connection) -> None:
    spread = settings.model_copy(update={"stream_partitions": 3})
    await append_events(redis, [event("session_start", number=n, user_hash=learner(n)) for n in range(60)], 3)
    async with running(worker.run, spread):
        for partition in range(3):
            await settled(redis, partition)
    assert await database.fetchval("SELECT count(*) FROM analytics_events") == 60


async def test_poison_costs_its_neighbours_nothing(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    good = [event("session_start", number=n) for n in range(99)]
    bad = [
        event("xp_earned", number=200, properties='{"xp_amount": "many"}'),
        event("session_start", number=201, properties='{"a": "\\u0000"}'),
        event("session_start", number=202, properties="[" * 20_000),
    ]
    await append_events(redis, [*good[:50], *bad, *good[50:]])
    await redis.xadd(KEY, {"strange": b"\x00\xff"})
    async with running(worker.run, settings):
        await settled(redis)
    assert await database.fetchval("SELECT count(*) FROM analytics_events") == 99
    letters = await database.fetch("SELECT reason, event_id FROM dead_letters")
    expected = {("rejected_by_database", one.event_id) for one in bad} | {("missing_field", None)}
    assert {(row["reason"], row["event_id"]) for row in letters} == expected
    assert await books(database) == Books(99, 0, 0, 4)
    await assert_no_drift(database)


async def test_what_a_killed_worker_had_committed_is_not_counted_again(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    events = [event("xp_earned", {"xp_amount": 1}, number=n) for n in range(50)]
    await ensure_group(redis, 0, STORE_GROUP)
    await append_events(redis, events)
    # a worker that stored a batch and died before it acknowledged
    await redis.xreadgroup(STORE_GROUP, "dead", {KEY: ">"}, count=30)
    first = settings.model_copy(update={"claim_idle_seconds": 0.001})
    async with running(worker.run, first):
        await settled(redis)
    ids = [entry_id for entry_id, _ in await stream_entries(redis)]
    await redis.xgroup_setid(KEY, STORE_GROUP, "0")
    await redis.xreadgroup(STORE_GROUP, "dead", {KEY: ">"}, count=len(ids))
    before = metrics.REDELIVERED._value.get()
    async with running(worker.run, first):
        await pending_is(redis, 0)
    assert metrics.REDELIVERED._value.get() == before + 50
    assert await books(database) == Books(50, 0, 0, 0)
    assert await database.fetchval("SELECT total_xp FROM gamification_stats") == 50


async def test_an_outage_of_the_database_parks_nothing_and_loses_nothing(
    settings: Settings, redis: Redis, own_postgres: Postgres
) -> None:
    await upgrade(own_postgres.url)
    here = settings.model_copy(update={"database_url": SecretStr(own_postgres.url)})
    own_postgres.kill()
    await append_events(redis, [event("session_start", number=n) for n in range(100)])
    before = metrics.RETRIES.labels("storage", "connection")._value.get()
    async with running(worker.run, here):
        await eventually(lambda: metrics.RETRIES.labels("storage", "connection")._value.get() >= before + 2)
        own_postgres.start()
        await settled(redis)
    connection = await asyncpg.connect(own_postgres.url)
    assert await books(connection) == Books(100, 0, 0, 0)
    await connection.close()


async def test_a_stopping_worker_writes_the_batch_in_hand(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    patient = settings.model_copy(update={"flush_linger_ms": 60_000, "flush_interval": 50.0})
    await append_events(redis, [event("session_start", number=n) for n in range(10)])
    async with running(worker.run, patient):
        await pending_is(redis, 10)
        assert await database.fetchval("SELECT count(*) FROM analytics_events") == 0
    assert await database.fetchval("SELECT count(*) FROM analytics_events") == 10
    assert (await measure(redis, 0)).pending == 0


async def test_a_worker_that_stops_during_an_outage_leaves_its_entries_to_the_next(
    settings: Settings, redis: Redis, database: asyncpg.Connection, own_postgres: Postgres
) -> None:
    await upgrade(own_postgres.url)
    there = settings.model_copy(update={"database_url": SecretStr(own_postgres.url)})
    async with running(worker.run, there):
        await eventually(lambda: redis.exists(KEY))
        own_postgres.kill()
        await append_events(redis, [event("session_start", number=n) for n in range(10)])
        await pending_is(redis, 10)
    assert (await measure(redis, 0)).pending == 10
    async with running(worker.run, settings.model_copy(update={"claim_idle_seconds": 0.001})):
        await settled(redis)
    assert await database.fetchval("SELECT count(*) FROM analytics_events") == 10


def runs(chore: str) -> float:
    count: float = metrics.CHORE_RUNS.labels(chore, "ok")._value.get()
    return count


def lag_known() -> float | None:
    labels = {"stream": KEY, "consumer_group": STORE_GROUP}
    return metrics.registry.get_sample_value("analytics_consumer_lag_known", labels)


async def test_maintenance_does_every_chore_and_only_one_leads(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append_events(redis, [event("session_start", number=1)])
    async with running(worker.run, settings):
        await settled(redis)
    names = [
        "ensure_partitions",
        "drop_expired",
        "prune_system_metrics",
        "prune_ledger",
        "refresh_summary",
        "trim_streams",
        "remove_idle_consumers",
        "measure_lag",
    ]
    before = {name: runs(name) for name in names}
    async with running(maintenance.run, settings):
        await eventually(lambda: all(runs(name) > before[name] for name in names))
        assert await database.fetchval("SELECT events FROM hourly_analytics_summary") == 1
        assert lag_known() == 1
        after = {name: runs(name) for name in names}
        async with running(maintenance.run, settings):
            assert await database.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == 1
        assert runs("drop_expired") == after["drop_expired"]
    assert metrics.IS_LEADER._value.get() == 0
    assert lag_known() is None, "a former leader exports no lag"


async def test_a_defect_at_the_end_still_closes_the_connections(
    settings: Settings, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defect(_counter: object, _stop: asyncio.Event) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ConflictCounter, "count", defect)
    with pytest.raises((ZeroDivisionError, ExceptionGroup)):
        await worker.run(settings, asyncio.Event())

    async def are_closed() -> bool:
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'analytics-worker'"
        return bool(await database.fetchval(f"{count} AND datname = current_database()") == 0)

    await eventually(are_closed)
