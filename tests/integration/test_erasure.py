"""An erased learner is removed everywhere, later events are suppressed, and no other number changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from processors.maintenance.erasure import carry_out, remove_suppressed
from runtime.failpoints import Failpoint
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from storage.answers.aggregates import Answers
from storage.batches.rebuild import rebuild_aggregates
from storage.batches.rollups import RETIRED, ROLLUPS
from storage.database.pool import Pool
from storage.privacy.erasure import ErasureJob, read_job, request_erasure
from storage.retention import removal as retention
from stream.entries.consumer import Consumer
from stream.keys import STORE_GROUP, TIMELINE, history_key
from stream.server.connection import Redis
from tests.support.assembled import settled
from tests.support.checker import assert_nothing_lost
from tests.support.doomed import killed_at
from tests.support.entries import append_entry, append_events, stream_entries
from tests.support.events import event, learner
from tests.support.live import all_published, live_worker_began, publishing
from tests.support.traffic import demo_traffic
from tests.support.working import working

EVENTS = 600


async def stored(settings: Settings, redis: Redis, events: Sequence[AcceptedEvent]) -> None:
    """Append the events and wait until all are stored or suppressed."""
    await append_events(redis, events)
    async with working(settings):
        await assert_nothing_lost(settings, accepted=(), sent={one.event_id for one in demo_traffic(EVENTS)})


async def mentions(database: asyncpg.Connection, redis: Redis, user_hash: bytes) -> dict[str, int]:
    """Return the number of rows of each table, and of entries of the stream, that hold the learner."""
    tables = await database.fetch(
        "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables"
        " WHERE table_schema IN ('public', 'retired') AND table_type = 'BASE TABLE'"
    )
    # searched as hexadecimal text in every column: bytes, arrays of bytes, JSON
    found = {
        row["name"]: await database.fetchval(
            f"SELECT count(*) FROM {row['name']} AS t WHERE t::text LIKE $1", f"%{user_hash.hex()}%"
        )
        for row in tables
    }
    for key in (TIMELINE, history_key("xp_earned"), history_key("session_start")):
        read: Any = redis.zrange if key == TIMELINE else redis.lrange
        found[key] = sum(user_hash.hex().encode() in message for message in await read(key, 0, -1))
    found["stream"] = sum(
        user_hash.hex().encode() in b" ".join(fields.values()) for _, fields in await stream_entries(redis)
    )
    return {name: count for name, count in found.items() if count}


async def platform(database: asyncpg.Connection) -> list[list[tuple[object, ...]]]:
    """Return all numbers that are not about one learner."""
    return [
        [tuple(row) for row in await database.fetch(f"{one.merged(one.table)} ORDER BY {', '.join(one.key)}")]
        for one in ROLLUPS
        if "user_hash" not in one.key
    ]


async def erased(redis: Redis, pool: Pool, user_hash: bytes) -> ErasureJob:
    job = await request_erasure(pool, [user_hash], "tests")
    assert await carry_out(redis, pool, [0]) == 1
    finished = await read_job(pool, job.job_id)
    assert finished is not None
    return finished


async def drifted(settings: Settings, pool: Pool) -> list[str]:
    """Verify; return the tables that drifted."""
    async with pool.acquire() as connection:
        found = await rebuild_aggregates(connection, datetime.now(UTC), settings.system_metrics_retention)
    return [drift.table for drift in found if not drift.is_clean]


def busiest_learner() -> bytes:
    hashes = [one.user_hash for one in demo_traffic(EVENTS) if one.user_hash is not None]
    return max(set(hashes), key=hashes.count)


# must remain: the tombstone and the receipt
REMAINS = {"public.erased_users", "public.erasure_jobs"}


async def test_nothing_is_left_of_the_learner_and_the_platforms_numbers_stay(
    settings: Settings, redis: Redis, database: asyncpg.Connection, pool: Pool
) -> None:
    who = busiest_learner()
    await stored(settings, redis, demo_traffic(EVENTS))
    assert len(await mentions(database, redis, who)) > 4
    before, others = await platform(database), await database.fetchval("SELECT count(*) FROM analytics_events")

    job = await erased(redis, pool, who)

    assert (await mentions(database, redis, who)).keys() == REMAINS
    assert await platform(database) == before
    of_learner = {one.event_id for one in demo_traffic(EVENTS) if one.user_hash == who}
    assert (job.state, job.requested_by) == ("done", "tests")
    assert job.removed["analytics_events"] == len(of_learner)
    assert job.removed["stream"] >= len(of_learner)
    assert await database.fetchval("SELECT count(*) FROM analytics_events") == others - len(of_learner)
    await assert_nothing_lost(settings, (), {one.event_id for one in demo_traffic(EVENTS)})


async def test_neither_redelivery_nor_late_events_nor_rebuild_bring_the_learner_back(
    settings: Settings, redis: Redis, database: asyncpg.Connection, pool: Pool
) -> None:
    who = busiest_learner()
    events = demo_traffic(EVENTS)
    early, late = events[: EVENTS // 2], events[EVENTS // 2 :]
    await stored(settings, redis, early)
    # when the request arrives, some entries are pending for a dead worker and some are not read yet
    await append_events(redis, late)
    deserter = Consumer(redis, 0, STORE_GROUP, "deserter", claim_idle_seconds=120)
    assert await deserter.read(50, 1)
    job = await request_erasure(pool, [who], "tests")
    assert await carry_out(redis, pool, [0]) == 0
    async with working(settings.model_copy(update={"claim_idle_seconds": 0.001})):
        await assert_nothing_lost(settings, (), {one.event_id for one in events})
    assert await carry_out(redis, pool, [0]) == 1
    finished = await read_job(pool, job.job_id)
    assert finished is not None
    assert finished.state == "done"
    assert (await mentions(database, redis, who)).keys() == REMAINS

    await stored(settings, redis, [one for one in events if one.user_hash == who])
    await remove_suppressed(redis, pool, datetime.now(UTC) - timedelta(days=1))
    assert await drifted(settings, pool) == []
    assert (await mentions(database, redis, who)).keys() == REMAINS


async def test_live_messages_go_too_at_once_and_those_that_were_on_their_way_at_the_latest_in_an_hour(
    settings: Settings, redis: Redis, database: asyncpg.Connection, pool: Pool
) -> None:
    who = busiest_learner()
    await stored(settings, redis, demo_traffic(EVENTS))
    await request_erasure(pool, [who], "tests")
    await live_worker_began(redis)
    assert await carry_out(redis, pool, [0]) == 0, "live workers have read nothing yet"
    async with publishing(settings):
        await all_published(redis, EVENTS)
    assert TIMELINE in await mentions(database, redis, who)
    assert await carry_out(redis, pool, [0]) == 1
    assert (await mentions(database, redis, who)).keys() == REMAINS

    await append_events(redis, [event("xp_earned", {"xp_amount": 1}, user_hash=who)])
    async with working(settings), publishing(settings):
        await all_published(redis, EVENTS + 1)
        # what the worker has not read yet stays in the stream
        await settled(settings)
    assert history_key("xp_earned") in await mentions(database, redis, who)
    await remove_suppressed(redis, pool, datetime.now(UTC) - timedelta(days=1))
    assert (await mentions(database, redis, who)).keys() == REMAINS


async def test_letters_and_retired_numbers_go_too_and_a_letter_that_comes_again_is_booked_once(
    settings: Settings, redis: Redis, database: asyncpg.Connection, pool: Pool
) -> None:
    who = busiest_learner()
    poison = {b"event_type": b"no_such_type", b"user_hash": who.hex().encode()}
    entry_id = await append_entry(redis, poison)
    old = event("xp_earned", {"xp_amount": 7}, occurred_at=datetime.now(UTC) - timedelta(days=60), user_hash=who)
    sent = {one.event_id for one in (*demo_traffic(EVENTS), old)}
    await append_events(redis, [old, *demo_traffic(EVENTS)])
    async with working(settings):
        await assert_nothing_lost(settings, (), sent, parked=1)
    assert await retention.drop_expired(pool, datetime.now(UTC), timedelta(days=30)) >= 1
    before = await mentions(database, redis, who)
    assert before["public.dead_letters"] == 1
    assert before[f"{RETIRED}.gamification_stats"] == 1

    job = await erased(redis, pool, who)
    assert job.removed["dead_letters"] == 1
    assert (await mentions(database, redis, who)).keys() == REMAINS
    assert await database.fetchval("SELECT outcome FROM settled_entries WHERE entry_id = $1", entry_id)
    assert await drifted(settings, pool) == []


async def test_an_entry_that_comes_again_after_the_erasure_is_booked_once(
    settings: Settings, redis: Redis, database: asyncpg.Connection, pool: Pool
) -> None:
    who = busiest_learner()
    sent = {one.event_id for one in demo_traffic(EVENTS)}
    await append_events(redis, demo_traffic(EVENTS))
    await killed_at(Failpoint.AFTER_COMMIT, 1, "worker", settings, ANALYTICS_BATCH_SIZE=str(EVENTS))
    await request_erasure(pool, [who], "tests")
    assert await carry_out(redis, pool, [0]) == 0
    async with working(settings.model_copy(update={"claim_idle_seconds": 0.001})):
        await assert_nothing_lost(settings, (), sent)
    assert await carry_out(redis, pool, [0]) == 1
    assert (await mentions(database, redis, who)).keys() == REMAINS


async def test_an_erasure_removes_the_learner_from_active_users_but_not_their_requests(
    settings: Settings, redis: Redis, pool: Pool
) -> None:
    moment = datetime.now(UTC)
    request = {"endpoint": "/", "method": "GET", "status_code": 200, "duration_ms": 3}
    events = [event("api_request", request, number=number, user_hash=learner(number % 3)) for number in range(6)]
    await append_events(redis, events)
    sent = {one.event_id for one in events}
    async with working(settings):
        await assert_nothing_lost(settings, sent, sent)

    async def counted() -> tuple[int, int]:
        hour = timedelta(hours=1)
        record = await Answers(pool).system(moment - 2 * hour, moment + hour, timedelta(minutes=5), 10)
        return record.active_users, sum(record.latencies.values())

    assert await counted() == (3, 6)
    await erased(redis, pool, learner(1))
    assert await counted() == (2, 6)
    assert await drifted(settings, pool) == []
