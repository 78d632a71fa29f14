"""After an erasure and its purge, no file or key of either server holds bytes of the learner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from cli.local.embedded.postgres import Postgres
from cli.local.embedded.valkey import Valkey
from processors.maintenance.erasure import carry_out
from processors.maintenance.late_events import LateEvents
from processors.maintenance.purge import purge_postgres, purge_redis
from runtime.clock import utc_now
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from storage.database.migrate import upgrade
from storage.database.pool import Pool, open_pool
from storage.database.roles import ROLES, make_logins
from storage.privacy.erasure import read_job, request_erasure
from storage.privacy.residue import read_residue
from stream.keys import LIVE_EVENTS, TIMELINE, stream_key
from stream.server.connection import Redis, connect
from tests.support.checker import assert_nothing_lost
from tests.support.entries import append_entry, append_events
from tests.support.events import event, learner
from tests.support.live import all_published, publishing
from tests.support.traffic import demo_traffic
from tests.support.waiting import eventually
from tests.support.working import working

CANARY: Final = b"canary-of-the-erased"
WHO: Final = learner(77)
NAMES: Final = (CANARY, WHO.hex().encode())
HOUR: Final = timedelta(hours=1)
WEEK: Final = timedelta(days=7)


def events_of_the_erased(count: int = 60) -> list[AcceptedEvent]:
    text = CANARY.decode()
    kinds = (
        ("achievement_earned", {"achievement_id": text, "achievement_name": text}),
        ("material_view", {"material_id": text, "material_type": "video"}),
    )
    return [event(*kinds[number % 2], user_hash=WHO, number=1_000 + number) for number in range(count)]


@pytest.fixture
def servers(own_valkey: Valkey, own_postgres: Postgres) -> Settings:
    asyncio.run(upgrade(own_postgres.url))
    return Settings.model_validate(
        {"environment": "dev", "redis_url": own_valkey.url, "database_url": own_postgres.url}
    )


@pytest.fixture
async def own_redis(servers: Settings) -> AsyncIterator[Redis]:
    client = connect(servers)
    yield client
    await client.aclose()


@pytest.fixture
async def pool(servers: Settings) -> AsyncIterator[Pool]:
    """Settings with the logins of maintenance."""
    logins = await make_logins(servers.database_dsn, dict.fromkeys(ROLES, "a password of the tests"))
    pool = await open_pool(logins["maintenance"], size=3, application_name="tests")
    yield pool
    await pool.close()


def found_in_files(*places: Path) -> set[str]:
    return {
        str(file)
        for place in places
        for file in place.rglob("*")
        if file.is_file() and any(name in file.read_bytes() for name in NAMES)
    }


async def found_in_keys(redis: Redis, ids: Iterable[bytes] = ()) -> set[str]:
    keys: Any = await redis.keys()
    dumped = {key.decode(): await redis.dump(key) or b"" for key in keys}
    return {key for key, value in dumped.items() if any(name in value for name in (*NAMES, *ids))}


async def test_no_file_and_no_key_has_a_byte_of_an_erased_learner(
    servers: Settings, own_redis: Redis, pool: Pool, own_valkey: Valkey, own_postgres: Postgres
) -> None:
    places = own_valkey.home, own_postgres.data_directory
    database = await asyncpg.connect(servers.database_dsn)
    ours = events_of_the_erased()
    ids = [one.event_id.bytes for one in ours]
    everybody = [one for pair in zip(demo_traffic(len(ours)), ours, strict=True) for one in pair]
    sent = {one.event_id for one in everybody}
    await append_events(own_redis, everybody)
    poison = {b"event_type": b"no_such_type", b"user_hash": WHO.hex().encode()}
    await append_entry(own_redis, poison)
    async with working(servers), publishing(servers):
        await all_published(own_redis, len(everybody))
        await assert_nothing_lost(servers, (), sent, parked=1)
    # statistics and snapshots hold copies
    await database.execute("ANALYZE")
    await database.execute("CHECKPOINT")
    await own_redis.save()
    assert len(found_in_files(*places)) > 5
    assert await found_in_keys(own_redis, ids) > {stream_key(0), TIMELINE, LIVE_EVENTS}

    job = await request_erasure(database, [WHO], "tests")
    assert await carry_out(own_redis, pool, [0]) == 1
    done = await read_job(database, job.job_id)
    assert done is not None
    assert done.removed["stream"] == len(ours) + 1
    assert await found_in_keys(own_redis, ids) == set()
    assert await own_redis.zcard(LIVE_EVENTS) == len(sent) - len(ours)
    assert {one.place for one in await read_residue(pool)} > {"redis", "wal", "public.dead_letters"}

    late_events = LateEvents(own_redis, pool, WEEK, ())
    assert await late_events.remove(utc_now()) == 0
    late = event("material_view", {"material_id": CANARY.decode(), "material_type": "video"}, number=1, user_hash=WHO)
    await append_events(own_redis, [late])
    async with working(servers), publishing(servers):
        await assert_nothing_lost(servers, (), sent | {late.event_id})
        await all_published(own_redis, len(everybody) + 2)
    assert stream_key(0) in await found_in_keys(own_redis, [late.event_id.bytes])
    assert await late_events.remove(utc_now())
    assert await found_in_keys(own_redis, [*ids, late.event_id.bytes]) == set()

    assert await purge_redis(own_redis, pool, HOUR, WEEK)
    await eventually(lambda: found_in_files(own_valkey.home) == set())
    assert await purge_postgres(pool, HOUR)
    await eventually(lambda: found_in_files(*places) == set())
    assert await read_residue(pool) == []
    await assert_nothing_lost(servers, (), sent | {late.event_id})
    await database.close()
