"""What `analytics doctor` finds at a Redis server, each made true on a real one."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from cli.local.embedded.valkey import Valkey
from runtime.clock import utc_now
from runtime.diagnosis import Finding
from runtime.settings import Durability, Settings
from stream.diagnosis import diagnose
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import connect
from tests.support.altered_valkey import that_survives_a_full_disk
from tests.support.entries import append_events, stream_entries
from tests.support.events import event
from tests.support.replication import follow, pair
from tests.support.waiting import eventually

KEY = stream_key(0)


@asynccontextmanager
async def client_of(server: Valkey) -> AsyncIterator[Redis]:
    redis = connect(Settings.model_validate({"environment": "dev", "redis_url": server.url}))
    try:
        yield redis
    finally:
        await redis.aclose()


async def findings(redis: Redis, durability: Durability = "server") -> dict[str, Finding]:
    return {one.name: one for one in await diagnose(redis, 1, utc_now(), 0.001, durability)}


@pytest.mark.parametrize(
    ("setting", "value", "finding", "status"),
    [
        ("maxmemory-policy", "allkeys-lru", "redis.eviction", "fail"),
        ("maxmemory", "0", "redis.memory_limit", "warn"),
        ("appendonly", "no", "redis.persistence", "fail"),
        ("appendfsync", "no", "redis.fsync", "warn"),
        ("stream-node-max-entries", "100", "redis.stream_nodes", "warn"),
        ("min-replicas-to-write", "1", "redis.replicas", "fail"),
    ],
)
async def test_a_setting_that_endangers_events_is_found(
    own_valkey: Valkey, setting: str, value: str, finding: str, status: str
) -> None:
    async with client_of(own_valkey) as redis:
        await redis.config_set("maxmemory", 500_000_000)
        assert (await findings(redis))[finding].status == "ok"
        await redis.config_set(setting, value)
        found = (await findings(redis))[finding]
        assert (found.status, bool(found.fix)) == (status, True)


async def test_a_replica_is_named_with_its_primary_and_not_judged_further(data_directory: Path) -> None:
    with pair(data_directory) as (primary, replica):
        await follow(replica, primary)
        async with client_of(replica) as redis:
            [found] = (await findings(redis, "local")).values()
        async with client_of(primary) as redis:
            of_primary = await findings(redis, "replica")
    assert (found.name, found.status) == ("redis.role", "fail")
    assert f"a replica of 127.0.0.1:{primary.url.rpartition(':')[2].partition('/')[0]}" in found.detail
    assert of_primary["redis.role"].status == "ok"


async def test_replicas_that_writes_wait_for_and_that_are_gone_are_found(data_directory: Path) -> None:
    with pair(data_directory) as (primary, replica):
        async with client_of(primary) as redis:
            assert (await findings(redis, "server"))["redis.replicas"].status == "ok"
            assert (await findings(redis, "replica"))["redis.replicas"].status == "fail"
            await follow(replica, primary)
            assert (await findings(redis, "replica"))["redis.replicas"].status == "ok"
            await redis.config_set("min-replicas-to-write", 1)
            assert (await findings(redis))["redis.replicas"].status == "ok"
            replica.stop()

            async def is_found() -> bool:
                return (await findings(redis))["redis.replicas"].status == "fail"

            await eventually(is_found)


async def test_an_append_only_file_that_cannot_be_written_is_found(data_directory: Path) -> None:
    server = Valkey(data_directory / "redis", program=that_survives_a_full_disk(data_directory), fsync="everysec")
    server.start()
    try:
        async with client_of(server) as redis:
            assert (await findings(redis))["redis.files"].status == "ok"
            assert server.pid is not None
            _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4_096, hard))

            async def is_found() -> bool:
                with suppress(RedisError):
                    await redis.set("a", "b" * 4_096)
                return (await findings(redis))["redis.files"].status == "fail"

            await eventually(is_found)
            found = (await findings(redis))["redis.files"]
            assert found.detail == "the last write of the append-only file failed"
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
    finally:
        server.kill()


async def test_a_clock_that_differs_from_that_of_redis_is_found(redis: Redis) -> None:
    found = await diagnose(redis, 1, utc_now() + timedelta(minutes=1), 120, "server")
    [clock] = [one for one in found if one.name == "redis.clock"]
    assert clock.status == "warn"


async def test_a_lag_that_redis_cannot_report_is_found(redis: Redis) -> None:
    await append_events(redis, [event("session_start", number=number) for number in range(3)])
    await redis.xgroup_create(KEY, STORE_GROUP, id="0")
    await redis.xreadgroup(STORE_GROUP, "one", {KEY: ">"}, count=1)
    assert (await findings(redis))["stream.0.lag"].status == "ok"
    [_, (undelivered, _), _] = await stream_entries(redis)
    await redis.xdel(KEY, undelivered)
    assert (await findings(redis))["stream.0.lag"].status == "warn"


async def test_entries_of_a_worker_that_is_gone_and_that_nobody_claims_are_found(redis: Redis) -> None:
    await append_events(redis, [event("session_start")])
    await redis.xgroup_create(KEY, STORE_GROUP, id="0")
    assert (await findings(redis))["stream.0.stuck"].status == "ok"
    await redis.xreadgroup(STORE_GROUP, "one", {KEY: ">"})

    async def is_found() -> bool:
        return (await findings(redis))["stream.0.stuck"].status == "warn"

    await eventually(is_found)
    assert (await findings(redis))["stream.0.stuck"].detail == "1 idle consumers hold 1 entries"


async def test_a_trimmed_stream_that_does_not_reach_back_to_the_last_backup_is_found(redis: Redis) -> None:
    hour = timedelta(hours=1)
    moment = int((utc_now() - 2 * hour).timestamp() * 1000)
    for number in range(2):
        await redis.xadd(KEY, {"a": "b"}, id=f"{moment}-{number}")

    async def window(backup_interval: timedelta) -> Finding:
        found = await diagnose(redis, 1, utc_now(), 120, "server", (), backup_interval)
        [one] = [one for one in found if one.name == "stream.0.window"]
        return one

    # nothing was trimmed: the stream is as old as the system
    assert (await window(24 * hour)).status == "ok"
    await redis.xtrim(KEY, maxlen=1, approximate=False)
    assert (await window(1 * hour)).status == "ok"
    found = await window(24 * hour)
    assert (found.status, found.detail) == ("warn", "reaches back 2.0 h; backups are taken every 24.0 h")
