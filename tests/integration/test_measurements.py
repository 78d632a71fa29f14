"""What maintenance measures for operators, on real servers."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from processors.maintenance import measuring_chores as measuring
from processors.maintenance.lag_measurement import measure as measure_lag
from runtime.settings import Settings
from storage.database import usage
from storage.database.pool import Pool, open_pool
from storage.database.roles import make_logins
from storage.privacy.erasure import request_erasure
from storage.retention.overdue import read_overdue
from stream.keys import LIVE_GROUP, STORE_GROUP, stream_key
from stream.server.connection import Redis
from telemetry import leader_facts, metrics
from telemetry.leader_gauge import LeaderGauge
from tests.support.entries import append_entry, append_events
from tests.support.events import event
from tests.support.waiting import eventually
from tests.support.working import working

KEY = stream_key(0)
WHO = b"w" * 32
HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)


@pytest.fixture(autouse=True)
def forgotten() -> None:
    for gauge in vars(leader_facts).values():
        if isinstance(gauge, LeaderGauge):
            gauge.facts.clear()


def fact(gauge: LeaderGauge, *labels: str) -> float:
    return gauge.facts[labels].value


async def test_a_group_has_the_age_of_its_oldest_pending_entry_and_the_number_of_its_consumers(redis: Redis) -> None:
    await redis.xadd(KEY, {"a": "b"}, id=f"{int(datetime.now(UTC).timestamp() * 1000) - 90_000}-0")
    await redis.xgroup_create(KEY, STORE_GROUP, id="0")
    await measure_lag(redis, [0], [])
    assert fact(leader_facts.OLDEST_PENDING, KEY, STORE_GROUP) == 0
    assert fact(leader_facts.GROUP_CONSUMERS, KEY, STORE_GROUP) == 0
    await redis.xreadgroup(STORE_GROUP, "one", {KEY: ">"})
    await redis.xgroup_createconsumer(KEY, STORE_GROUP, "two")
    await measure_lag(redis, [0], [])
    assert 90 <= fact(leader_facts.OLDEST_PENDING, KEY, STORE_GROUP) < 120
    assert fact(leader_facts.GROUP_CONSUMERS, KEY, STORE_GROUP) == 2
    assert (KEY, LIVE_GROUP) not in leader_facts.GROUP_CONSUMERS.facts


async def test_the_memory_of_redis_is_measured_with_its_limit(redis: Redis) -> None:
    await redis.config_set("maxmemory", 500_000_000)
    await measure_lag(redis, [0], [])
    await redis.config_set("maxmemory", 0)
    assert fact(leader_facts.STREAM_MEMORY_LIMIT) == 500_000_000
    assert 0 < fact(leader_facts.STREAM_MEMORY) < 500_000_000


async def test_a_stream_has_a_size_and_a_window_that_an_empty_one_lacks(redis: Redis) -> None:
    await measuring.measure_streams(redis, [0])
    assert fact(leader_facts.STREAM_BYTES, KEY) == 0
    assert leader_facts.STREAM_WINDOW.facts == {}
    await redis.xadd(KEY, {"a": "b"}, id=f"{int(datetime.now(UTC).timestamp() * 1000) - 3_600_000}-0")
    await measuring.measure_streams(redis, [0])
    assert fact(leader_facts.STREAM_BYTES, KEY) > 0
    assert 3_600 <= fact(leader_facts.STREAM_WINDOW, KEY) < 3_700
    assert fact(leader_facts.REDIS_REPLICAS) == 0


@pytest.mark.parametrize(
    ("setting", "unsafe", "safe"), [("maxmemory-policy", "allkeys-lru", "noeviction"), ("appendonly", "no", "yes")]
)
async def test_a_redis_that_may_drop_or_forget_events_is_not_safe(
    redis: Redis, setting: str, unsafe: str, safe: str
) -> None:
    before = {name: (await redis.config_get(name))[name] for name in ("maxmemory-policy", "appendonly")}
    try:
        await redis.config_set("appendonly", "yes")
        await redis.config_set(setting, safe)
        await measuring.measure_streams(redis, [])
        assert fact(leader_facts.REDIS_SAFE) == 1
        await redis.config_set(setting, unsafe)
        await measuring.measure_streams(redis, [])
        assert fact(leader_facts.REDIS_SAFE) == 0
    finally:
        for name, value in before.items():
            await redis.config_set(name, str(value))


async def test_clocks_of_one_machine_agree(redis: Redis, pool: Pool) -> None:
    await measuring.measure_clocks(redis, pool)
    assert abs(fact(leader_facts.CLOCK_SKEW, "redis")) < 1
    assert abs(fact(leader_facts.CLOCK_SKEW, "postgres")) < 1


async def test_the_books_of_a_stream_have_every_fate_and_balance(settings: Settings, redis: Redis, pool: Pool) -> None:
    one = event("xp_earned", {"xp_amount": 1}, number=1)
    await append_events(redis, [one, one, event("xp_earned", {"xp_amount": 1}, number=2)])
    await append_entry(redis, {b"event_type": b"nonsense"})
    async with working(settings):

        async def is_settled() -> bool:
            groups = await redis.xinfo_groups(KEY)
            return any(group["entries-read"] == 4 and not group["pending"] for group in groups)

        await eventually(is_settled)
    await append_events(redis, [event("xp_earned", {"xp_amount": 1}, number=3)])
    await measuring.measure_books(redis, pool, [0])
    books = {fate: value.value for (_, fate), value in leader_facts.BOOKS_ENTRIES.facts.items()}
    assert books == {
        "appended": 5,
        "stored": 2,
        "duplicate": 1,
        "suppressed": 0,
        "dead_lettered": 1,
        "lost": 0,
        "in_flight": 1,
    }
    assert fact(leader_facts.BOOKS_IMBALANCE, KEY) == 0
    # somebody has removed an entry from the books
    await pool.execute("UPDATE batch_books SET stored = stored - 1")
    await measuring.measure_books(redis, pool, [0])
    assert fact(leader_facts.BOOKS_IMBALANCE, KEY) == 1


async def test_what_waits_in_the_database_is_counted(pool: Pool) -> None:
    now = datetime.now(UTC)
    await measuring.measure_database(pool, now)
    assert fact(leader_facts.DEAD_LETTERS_WAITING, "invalid_field") == 0
    assert (fact(leader_facts.ERASURES_OPEN), fact(leader_facts.ERASURE_OLDEST)) == (0, 0)
    assert leader_facts.API_KEY_EXPIRY.facts == {}
    await pool.executemany(
        "INSERT INTO dead_letters (stream_partition, entry_id, reason, detail, payload, retried_at)"
        " VALUES (0, $1, 'invalid_field', '', '{}', $2)",
        [("1-1", None), ("1-2", None), ("1-3", now)],
    )
    await request_erasure(pool, [WHO], "tests")
    await pool.execute("UPDATE erasure_jobs SET requested_at = $1", now - HOUR)
    await pool.executemany(
        "INSERT INTO api_keys (key_id, digest, source, scopes, expires_at, revoked_at)"
        " VALUES ($1, '', 'x', '{}', $2, $3)",
        [
            ("expired", now - HOUR, None),
            ("revoked", now + HOUR, now),
            ("next", now + 2 * HOUR, None),
            ("later", now + 3 * HOUR, None),
            ("never", None, None),
        ],
    )
    await measuring.measure_database(pool, now)
    assert fact(leader_facts.DEAD_LETTERS_WAITING, "invalid_field") == 2
    assert (fact(leader_facts.ERASURES_OPEN), fact(leader_facts.ERASURE_OLDEST)) == (1, 3_600)
    assert fact(leader_facts.API_KEY_EXPIRY) == (now + 2 * HOUR).timestamp()


async def test_the_connections_and_the_oldest_transaction_of_the_server_are_measured(
    pool: Pool, database: asyncpg.Connection
) -> None:
    before = await usage.read_server_usage(pool)
    assert 2 <= before.connections <= before.connections_limit
    assert before.oldest_transaction == timedelta(0)
    assert 0 < before.xid_age_ratio < 1
    async with database.transaction():
        await database.execute("SELECT 1")
        during = (await usage.read_server_usage(pool)).oldest_transaction
        assert during is not None
        assert during > timedelta(0)
    await measuring.measure_database(pool, datetime.now(UTC))
    assert fact(leader_facts.DATABASE_OLDEST_TRANSACTION) == 0


async def test_a_login_that_cannot_see_the_transactions_of_others_measures_none(settings: Settings, pool: Pool) -> None:
    logins = await make_logins(settings.database_dsn, {"maintenance": "secret-of-the-tests"})
    await pool.execute("REVOKE pg_read_all_stats FROM analytics_maintenance")
    limited = await open_pool(logins["maintenance"], size=1, application_name="measuring")
    try:
        await measuring.measure_database(limited, datetime.now(UTC))
        await measuring.measure_tables(limited)
    finally:
        await limited.close()
        await pool.execute("GRANT pg_read_all_stats TO analytics_maintenance")
    assert fact(leader_facts.DATABASE_CONNECTIONS) >= 1
    assert fact(leader_facts.DATABASE_BYTES) > 0
    assert leader_facts.DATABASE_OLDEST_TRANSACTION.facts == {}


async def test_partitions_count_for_their_table_and_temporary_tables_for_none(
    pool: Pool, database: asyncpg.Connection
) -> None:
    await database.execute("CREATE TEMP TABLE staged (a integer)")
    await measuring.measure_tables(pool)
    tables = {table for (table,) in leader_facts.TABLE_BYTES.facts}
    assert {"analytics_events", "dead_letters", "retired.learning_sessions", "hourly_analytics_summary"} <= tables
    assert [table for table in tables if "staged" in table or table.startswith("analytics_events_")] == []
    assert fact(leader_facts.TABLE_BYTES, "analytics_events") > fact(leader_facts.TABLE_BYTES, "dead_letters") > 0
    assert all(not math.isnan(ratio.value) for ratio in leader_facts.TABLE_DEAD_RATIO.facts.values())
    assert fact(leader_facts.DATABASE_BYTES) > fact(leader_facts.TABLE_BYTES, "analytics_events")


@pytest.mark.parametrize("locked", ["dead_letters", "analytics_events_reserved"])
async def test_a_table_that_is_rewritten_is_left_out_and_the_others_are_measured(
    pool: Pool, database: asyncpg.Connection, locked: str
) -> None:
    async with database.transaction():
        await database.execute(f"LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE")
        await measuring.measure_tables(pool)
    left_out = "analytics_events" if locked.startswith("analytics_events_") else locked
    assert (left_out,) not in leader_facts.TABLE_BYTES.facts
    assert len(leader_facts.TABLE_BYTES.facts) > 20
    await measuring.measure_tables(pool)
    assert fact(leader_facts.TABLE_BYTES, left_out) > 0


async def test_dead_rows_are_a_share_of_all_rows(pool: Pool, database: asyncpg.Connection) -> None:
    hashes = [bytes([number]) * 32 for number in range(4)]
    await database.execute("INSERT INTO erased_users SELECT unnest($1::bytea[])", hashes)
    await database.execute("DELETE FROM erased_users WHERE user_hash = $1", hashes[0])

    async def is_counted() -> bool:
        # the statistics are written a moment after the transaction
        await database.execute("SELECT pg_stat_force_next_flush()")
        await measuring.measure_tables(pool)
        return fact(leader_facts.TABLE_DEAD_RATIO, "erased_users") == 0.25

    await eventually(is_counted)


async def test_data_is_overdue_from_when_it_should_have_been_removed(pool: Pool) -> None:
    now = datetime.now(UTC)
    raw, health = 20 * WEEK, WEEK
    assert set((await read_overdue(pool, now, raw, health)).values()) == {timedelta(0)}
    await pool.execute(
        "INSERT INTO dead_letters (stream_partition, entry_id, reason, detail, payload, parked_at)"
        " VALUES (0, '1-1', 'x', '', '{}', $1)",
        now - raw - 5 * HOUR,
    )
    await pool.execute("INSERT INTO system_metrics VALUES ($1, '/x', 1, 0, 1, 0, 0)", now - health + HOUR)
    await pool.execute("INSERT INTO system_errors VALUES ($1, '/x', 'e', 0, 1)", now - health - HOUR)
    overdue = await read_overdue(pool, now, raw, health)
    assert overdue["dead_letters"] == 5 * HOUR
    assert (overdue["system_metrics"], overdue["system_errors"]) == (timedelta(0), HOUR)
    # a shorter retention makes old partitions overdue, by up to the age of the oldest
    late = await read_overdue(pool, now, 2 * WEEK, health)
    assert 5 * WEEK < late["analytics_events"] < 20 * WEEK


async def test_calls_that_wait_for_a_connection_are_measured_by_pool(settings: Settings) -> None:
    def sample(name: str, **labels: str) -> float:
        return metrics.registry.get_sample_value(name, {"pool": "waited", **labels}) or 0.0

    pool = await open_pool(settings.database_dsn, size=1, application_name="waited")
    before = sample("analytics_db_pool_wait_seconds_count")
    async with pool.acquire():
        assert sample("analytics_db_pool_connections", state="used") == 1
        assert sample("analytics_db_pool_connections", state="idle") == 0
    await pool.fetchval("SELECT 1")
    assert sample("analytics_db_pool_wait_seconds_count") == before + 2
    assert sample("analytics_db_pool_connections", state="idle") == 1
    await pool.close()


async def test_the_result_of_the_last_verification_is_measured(pool: Pool, database: asyncpg.Connection) -> None:
    await measuring.measure_database(pool, datetime.now(UTC))
    assert leader_facts.VERIFY_DRIFT.facts == leader_facts.VERIFY_SUCCESS.facts == {}
    moment = datetime(2026, 11, 1, 3, tzinfo=UTC)
    results = [("learning_sessions", 2, moment), ("system_errors", 0, moment)]
    await database.executemany("INSERT INTO verify_results VALUES ($1, $2, $3)", results)
    await measuring.measure_database(pool, datetime.now(UTC))
    assert fact(leader_facts.VERIFY_DRIFT, "learning_sessions") == 2
    assert fact(leader_facts.VERIFY_DRIFT, "system_errors") == 0
    assert fact(leader_facts.VERIFY_SUCCESS) == moment.timestamp()
