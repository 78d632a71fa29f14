"""When a purge of erased bytes runs, what it waits for, and the metric of what remains."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest

from processors.maintenance import erasure, purge
from processors.maintenance.erasure import carry_out, remove_suppressed
from processors.maintenance.erasure_chores import erasure_chores, publish_residue
from processors.maintenance.late_events import LateEvents
from processors.maintenance.purge import purge_postgres, purge_redis
from runtime.errors import StreamUnavailable
from runtime.settings import Settings
from storage.database.pool import Pool
from storage.diagnosis import diagnose
from storage.privacy.erasure import request_erasure
from storage.privacy.residue import (
    LOG,
    PLACES_IN_REDIS,
    REDIS,
    STREAM,
    SUPPRESSED,
    places_of,
    read_residue,
    record_residue,
)
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import Redis
from telemetry import leader_facts
from tests.support.archive import archive
from tests.support.checker import assert_nothing_lost
from tests.support.entries import append_events
from tests.support.events import event, learner
from tests.support.live import all_published, live_worker_began, publishing
from tests.support.waiting import eventually
from tests.support.working import working

HOUR: Final = timedelta(hours=1)
AT_ONCE: Final = timedelta(0)
WEEK: Final = timedelta(days=7)
WHO: Final = learner(5)


async def places(pool: Pool) -> set[str]:
    return {one.place for one in await read_residue(pool)}


async def rewrites(redis: Redis) -> int:
    facts: dict[str, Any] = await redis.info("persistence")
    return int(facts["aof_rewrites"])


async def test_redis_writes_its_files_anew_only_after_a_removal_and_at_most_once_in_a_while(
    redis: Redis, pool: Pool
) -> None:
    before = await rewrites(redis)
    assert not await purge_redis(redis, pool, AT_ONCE, WEEK)
    await record_residue(pool, [REDIS])
    assert await purge_redis(redis, pool, HOUR, WEEK)
    assert await places(pool) == set()
    await record_residue(pool, [REDIS])
    assert not await purge_redis(redis, pool, HOUR, WEEK)
    assert await places(pool) == {REDIS}
    assert await rewrites(redis) == before + 1
    assert await purge_redis(redis, pool, AT_ONCE, WEEK)
    assert await rewrites(redis) == before + 2


async def test_what_is_removed_while_files_are_written_is_for_the_next_time(
    redis: Redis, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def remove_meanwhile(_: Redis) -> None:
        await record_residue(pool, [REDIS])

    monkeypatch.setattr(purge, "rewrite_files", remove_meanwhile)
    await record_residue(pool, [REDIS])
    assert await purge_redis(redis, pool, HOUR, WEEK)
    assert await places(pool) == {REDIS}


async def test_a_table_is_written_anew_only_when_nobody_can_see_its_removed_rows(
    settings: Settings, pool: Pool, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "_PATIENCE_SECONDS", 0)
    await record_residue(pool, ["public.dead_letters", LOG])
    reader = await asyncpg.connect(settings.database_dsn)
    async with reader.transaction(isolation="repeatable_read"):
        await reader.fetchval("SELECT count(*) FROM dead_letters")
        assert not await purge_postgres(pool, HOUR)
        assert "public.dead_letters" in await places(pool)
    await reader.close()
    await eventually(lambda: purge_postgres(pool, HOUR))
    assert await places(pool) == set()


async def test_without_the_right_to_a_checkpoint_it_waits_for_the_servers_own(
    settings: Settings, pool: Pool, database: asyncpg.Connection
) -> None:
    await database.execute("CREATE ROLE purger LOGIN PASSWORD 'a password of the tests'")
    await database.execute("GRANT SELECT, UPDATE, DELETE ON erasure_residue TO purger")
    await record_residue(pool, [LOG])
    weak = await asyncpg.create_pool(settings.database_dsn, user="purger", password="a password of the tests")
    try:
        assert not await purge_postgres(weak, HOUR)
        assert not await purge_postgres(weak, AT_ONCE), "it is not started again while it waits"
        await database.execute("SELECT pg_switch_wal()")
        await database.execute("CHECKPOINT")
        assert await purge_postgres(weak, HOUR)
    finally:
        await weak.close()
        await database.execute("DROP OWNED BY purger; DROP ROLE purger")


@pytest.fixture
async def _shared_nodes(redis: Redis) -> AsyncIterator[None]:
    await redis.config_set("stream-node-max-entries", 100)
    yield
    await redis.config_set("stream-node-max-entries", 1)


@pytest.mark.usefixtures("_shared_nodes")
async def test_where_entries_share_a_node_that_is_known_until_the_stream_is_trimmed(
    settings: Settings, redis: Redis, pool: Pool
) -> None:
    events = [event("xp_earned", {"xp_amount": 1}, number=number, user_hash=learner(number % 2)) for number in range(9)]
    await append_events(redis, events)
    async with working(settings):
        await assert_nothing_lost(settings, (), {one.event_id for one in events})
    await request_erasure(pool, [learner(1)], "tests")
    assert await carry_out(redis, pool, [0]) == 1
    assert STREAM in await places(pool)
    await purge_redis(redis, pool, HOUR, WEEK)
    assert STREAM in await places(pool)
    await purge_redis(redis, pool, HOUR, AT_ONCE)
    assert STREAM not in await places(pool)


async def test_an_entry_of_its_own_node_leaves_nothing_behind_and_a_late_one_is_noted(
    settings: Settings, redis: Redis, pool: Pool
) -> None:
    await request_erasure(pool, [WHO], "tests")
    assert not await purge_redis(redis, pool, AT_ONCE, WEEK)
    await redis.xgroup_create(stream_key(0), STORE_GROUP, "0", mkstream=True)
    assert await carry_out(redis, pool, [0]) == 1
    assert await purge_redis(redis, pool, AT_ONCE, WEEK)
    assert REDIS not in await places(pool)

    late = event("xp_earned", {"xp_amount": 1}, number=1, user_hash=WHO)
    await append_events(redis, [late])
    async with working(settings):
        await assert_nothing_lost(settings, (), {late.event_id})
    since = datetime.now(UTC) - timedelta(days=1)
    assert (await remove_suppressed(redis, pool, since)).removed == 1
    assert {REDIS, STREAM} & await places(pool) == {REDIS}
    assert await purge_redis(redis, pool, AT_ONCE, WEEK)
    assert (await remove_suppressed(redis, pool, since)).removed == 0
    assert REDIS not in await places(pool)


async def test_an_event_that_comes_late_is_counted_before_it_can_go_and_goes_once_every_reader_has_read_it(
    settings: Settings, redis: Redis, pool: Pool
) -> None:
    late_events = LateEvents(redis, pool, WEEK, ())
    await request_erasure(pool, [WHO], "tests")
    await redis.xgroup_create(stream_key(0), STORE_GROUP, "0", mkstream=True)
    await live_worker_began(redis)
    assert await carry_out(redis, pool, [0]) == 1
    assert await purge_redis(redis, pool, AT_ONCE, WEEK)
    assert await late_events.remove(datetime.now(UTC)) == 0
    assert await late_events.remove(datetime.now(UTC)) is None, "no new events"

    late = event("xp_earned", {"xp_amount": 1}, number=1, user_hash=WHO)
    await append_events(redis, [late])
    async with working(settings):
        await assert_nothing_lost(settings, (), {late.event_id})
    assert await late_events.remove(datetime.now(UTC)) == 0, "live workers have not read it"
    [kept_out] = [one for one in await read_residue(pool) if one.place == SUPPRESSED]
    findings = await diagnose(settings.database_dsn, 1, datetime.now(UTC) + 3 * 24 * HOUR, timedelta(days=90))
    [told] = [one for one in findings if one.name == "erasure.residue"]
    assert (told.status, "Redis since" in told.detail) == ("warn", True)
    publish_residue([kept_out], kept_out.since + HOUR)
    assert leader_facts.ERASURE_RESIDUE.facts["redis",].value == 3_600
    # a new process, which did not see the events arrive, notes the residue too
    await pool.execute("DELETE FROM erasure_residue WHERE place = $1", SUPPRESSED)
    assert await LateEvents(redis, pool, WEEK, ()).remove(datetime.now(UTC)) == 0
    assert SUPPRESSED in await places(pool)
    await pool.execute("UPDATE erasure_residue SET since = $2 WHERE place = $1", *kept_out)
    # a purge meanwhile does not clear it
    await purge_redis(redis, pool, AT_ONCE, WEEK)
    assert kept_out in await read_residue(pool)

    async with publishing(settings):
        await all_published(redis, 1)
    # the entry and its message under both keys: the live worker did not know of the erasure
    assert await late_events.remove(datetime.now(UTC)) == 3
    assert await redis.xlen(stream_key(0)) == 0
    [in_files] = [one for one in await read_residue(pool) if one.place in PLACES_IN_REDIS]
    assert in_files == (REDIS, kept_out.since), "its age is that of the suppression, not of the removal"
    assert await late_events.remove(datetime.now(UTC)) is None


async def test_an_event_that_comes_late_is_counted_also_while_redis_removes_nothing(
    settings: Settings, redis: Redis, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    late_events = LateEvents(redis, pool, WEEK, ())
    await request_erasure(pool, [WHO], "tests")
    await late_events.remove(datetime.now(UTC))
    late = event("xp_earned", {"xp_amount": 1}, number=1, user_hash=WHO)
    await append_events(redis, [late])
    async with working(settings):
        await assert_nothing_lost(settings, (), {late.event_id})

    async def fail(*_: object) -> None:
        raise StreamUnavailable("connection", "away")

    monkeypatch.setattr(erasure, "remove_settled", fail)
    with pytest.raises(StreamUnavailable):
        await late_events.remove(datetime.now(UTC))
    assert SUPPRESSED in await places(pool)
    monkeypatch.undo()
    assert await late_events.remove(datetime.now(UTC)) == 1
    assert SUPPRESSED not in await places(pool)


def test_what_comes_late_is_looked_for_every_minute_at_least(settings: Settings, redis: Redis, pool: Pool) -> None:
    [every] = [one.every for one in erasure_chores(settings, redis, pool) if one.name == "remove_suppressed"]
    assert every < timedelta(minutes=1)


async def test_a_partition_in_which_an_event_was_only_tried_is_purged_too(
    pool: Pool, database: asyncpg.Connection
) -> None:
    week = datetime.now(UTC) - timedelta(weeks=3)
    tried = event("xp_earned", {"xp_amount": 1}, occurred_at=week, user_hash=WHO)
    await archive(database, [tried])
    async with pool.acquire() as connection:
        [partition, *_] = await places_of(connection, [WHO])
        await database.execute("DELETE FROM analytics_events")
        assert partition not in await places_of(connection, [WHO])
        for entry, event_id in (("1-1", tried.event_id), ("1-2", UUID("ffff0000-0000-8000-8000-000000000001"))):
            await database.execute(
                "INSERT INTO dead_letters (stream_partition, entry_id, event_id, reason, detail, payload)"
                " VALUES (0, $1, $2, 'x', 'x', $3)",
                *(entry, event_id, f'{{"user_hash": "{WHO.hex()}"}}'),
            )
        assert {partition, "public.analytics_events_reserved"} <= set(await places_of(connection, [WHO]))
        assert partition not in await places_of(connection, [learner(6)])


async def test_how_long_bytes_have_been_there_is_measured(pool: Pool) -> None:
    def measured() -> list[float]:
        return [leader_facts.ERASURE_RESIDUE.facts[store,].value for store in ("redis", "postgres")]

    now = datetime.now(UTC)
    await pool.executemany(
        "INSERT INTO erasure_residue (place, since, latest) VALUES ($1, $2, $2)",
        [(REDIS, now - HOUR), (STREAM, now - 2 * HOUR), (LOG, now - 3 * HOUR), ("public.dead_letters", now)],
    )
    publish_residue(await read_residue(pool), now)
    assert measured() == [2 * 3_600, 3 * 3_600]
    publish_residue([], now)
    assert measured() == [0, 0]


async def test_statistics_of_the_database_hold_no_text_of_learners(database: asyncpg.Connection) -> None:
    # also in a partition that maintenance creates
    moment = datetime.now(UTC)
    far = moment + timedelta(weeks=30)
    await database.execute("SELECT analytics_ensure_partitions($1, $1)", far)
    texts = {"achievement_id": "canary", "achievement_name": "canary"}
    for at in (moment, far):
        await archive(database, [event("achievement_earned", texts, number=n, occurred_at=at) for n in range(20)])
    await database.execute(
        "INSERT INTO learner_materials SELECT sha256(n::text::bytea), 'canary', 1, 1 FROM generate_series(1, 20) AS n"
    )
    await database.execute("ANALYZE")
    assert await database.fetchval("SELECT count(*) FROM pg_stats WHERE tablename = 'learner_materials'") > 1
    assert await database.fetchval("SELECT count(*) FROM pg_statistic WHERE pg_statistic::text LIKE '%canary%'") == 0
