"""Redis is killed, or runs out of memory or disk, while events arrive: no accepted event is lost, and all recover."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cli.local.embedded.valkey import Valkey
from runtime.settings import Settings
from stream.entries.lag import measure
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import connect
from tests.support.altered_valkey import that_survives_a_full_disk
from tests.support.checker import assert_nothing_lost
from tests.support.fleet import ingest_with_senders, running
from tests.support.live import all_published, history, timeline
from tests.support.waiting import eventually

KILLS = 3


def on(server: Valkey, settings: Settings) -> Settings:
    return settings.model_copy(update={"redis_url": SecretStr(server.url)})


@pytest.mark.timeout(180)
async def test_a_redis_that_is_killed_again_and_again_loses_nothing(own_valkey: Valkey, settings: Settings) -> None:
    settings = on(own_valkey, settings)
    async with running(settings, ["worker", "worker", "live"]):
        async with ingest_with_senders(settings) as senders:
            for _ in range(KILLS):
                await senders.accepted_more(300)
                own_valkey.kill()
                await senders.refused_more(20)
                await asyncio.to_thread(own_valkey.restart)
            await senders.accepted_more(300)
        await assert_nothing_lost(settings, senders.accepted, senders.sent, parked=0)
        await assert_each_is_published_once(settings, senders.accepted)
    assert set(senders.answers) <= {"202", "connection", "loading"}


async def assert_each_is_published_once(settings: Settings, accepted: Collection[str]) -> None:
    redis = connect(settings)
    await all_published(redis, len(accepted))
    published = [str(one.event_id) for one in await timeline(redis)]
    assert sorted(published) == sorted(accepted)
    assert [one.event_id for one in await history(redis, "xp_earned")] == [
        one.event_id for one in await timeline(redis)
    ]
    await redis.aclose()


@pytest.mark.timeout(180)
async def test_a_redis_without_memory_is_emptied_by_the_workers_and_takes_events_again(
    own_valkey: Valkey, settings: Settings
) -> None:
    settings = on(own_valkey, settings)
    redis = connect(settings)
    await redis.xgroup_create(stream_key(0), STORE_GROUP, "0", mkstream=True)
    limit = (await redis.info("memory"))["used_memory"] + 3 * 1024**2
    async with ingest_with_senders(settings) as senders:
        await senders.accepted_more(500)
        await redis.config_set("maxmemory", limit)
        await senders.refused_more(200)
        held = await redis.xlen(stream_key(0))
        async with running(settings, ["worker"]):
            await eventually(lambda: all_settled(redis))
            async with running(settings, ["maintenance"]):
                await eventually(lambda: trimmed_below(redis, held))
                await senders.accepted_more(500)
    async with running(settings, ["worker"]):
        await assert_nothing_lost(settings, senders.accepted, senders.sent, parked=0)
    assert set(senders.answers) <= {"202", "memory_short", "out_of_memory"}
    await redis.aclose()


async def all_settled(redis: Redis) -> bool:
    return (await measure(redis, 0)).oldest_unsettled_at is None


async def trimmed_below(redis: Redis, length: int) -> bool:
    return await redis.xlen(stream_key(0)) < length


@pytest.fixture(params=["always", "everysec"])
def redis_of_a_small_disk(request: pytest.FixtureRequest, data_directory: Path) -> Iterator[Valkey]:
    fsync: Literal["always", "everysec"] = request.param
    server = Valkey(data_directory / "redis", program=that_survives_a_full_disk(data_directory), fsync=fsync)
    server.start()
    yield server
    server.stop()


@pytest.mark.timeout(180)
async def test_a_full_disk_refuses_events_until_there_is_room(
    redis_of_a_small_disk: Valkey, settings: Settings
) -> None:
    server = redis_of_a_small_disk
    settings = on(server, settings)
    async with running(settings, ["worker"]):
        async with ingest_with_senders(settings) as senders:
            await senders.accepted_more(300)
            limit_files(server, sum(file.stat().st_size for file in server.home.glob("appendonlydir/*.incr.aof")))
            await senders.refused_more(20)
            if server.pid is not None:
                limit_files(server, resource.RLIM_INFINITY)
            else:
                # with `always` the server exits instead of acknowledging writes that it cannot persist
                await asyncio.to_thread(server.restart)
            await senders.accepted_more(300)
        await assert_nothing_lost(settings, senders.accepted, senders.sent, parked=0)
    assert set(senders.answers) <= {"202", "cannot_persist", "connection", "loading"}


def limit_files(server: Valkey, size: int) -> None:
    """Limit the size of files that the server can write."""
    assert server.pid is not None
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, hard))
