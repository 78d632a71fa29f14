"""What `analytics doctor` finds about the running processes, from their connections to Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from processors.maintenance import chore_log
from processors.maintenance import process as maintenance
from runtime.clock import utc_now
from runtime.release import release
from runtime.settings import Settings
from stream.diagnosis.chores import check_chores
from stream.diagnosis.fleet import check_partitions, check_releases, has_stream_beyond
from stream.keys import CHORES, stream_key
from stream.registry.chores import ChoreRecord, publish_chores, read_chores
from stream.server import client_names
from stream.server.client_names import Fleet, Role, database_of, read_fleet
from stream.server.connection import connect
from tests.support.loops import looping
from tests.support.redis_users import as_user, redis_users
from tests.support.waiting import eventually
from tests.support.working import working


@asynccontextmanager
async def connected(settings: Settings, role: Role, database_connections: int = 0) -> AsyncIterator[None]:
    client = connect(settings, role=role, database_connections=database_connections)
    await client.ping()
    yield
    await client.aclose()


async def fleet_of(redis: Redis) -> Fleet:
    fleet = await read_fleet(redis)
    assert fleet is not None
    return fleet


async def test_a_process_is_known_by_its_connections(settings: Settings, redis: Redis) -> None:
    async with connected(settings, "ingest"), working(settings.model_copy(update={"stream_partitions": 2})):

        async def both_are_known() -> bool:
            return {one.role for one in (await fleet_of(redis)).services} >= {"ingest", "worker"}

        await eventually(both_are_known)
        [worker] = [one for one in (await fleet_of(redis)).services if one.role == "worker"]
    assert (worker.partitions, worker.database_connections, worker.release) == (2, 3, release())


async def test_processes_with_one_host_name_and_process_id_are_two(settings: Settings, redis: Redis) -> None:
    async with connected(settings, "ingest"), connected(settings, "ingest"):
        assert len((await fleet_of(redis)).services) == 1
        # as in the containers of two replicas
        client_names._process_name.cache_clear()
        async with connected(settings, "ingest"):
            assert sorted(one.connections for one in (await fleet_of(redis)).services) == [1, 2]


async def test_a_process_with_another_number_of_partitions_is_found(settings: Settings, redis: Redis) -> None:
    async with connected(settings, "ingest"):
        found = check_partitions(await read_fleet(redis), 1, beyond=False)
        assert (found.status, found.detail) == ("ok", "1 in these settings")
        async with connected(settings.model_copy(update={"stream_partitions": 4}), "worker"):
            found = check_partitions(await read_fleet(redis), 1, beyond=False)
    assert found.status == "fail"
    assert "4 in worker " in found.detail


async def test_a_stream_that_nobody_reads_by_these_settings_is_found(redis: Redis) -> None:
    assert not await has_stream_beyond(redis, 1)
    await redis.xadd(stream_key(1), {"a": "b"})
    assert await has_stream_beyond(redis, 1)
    found = check_partitions(None, 1, beyond=True)
    assert (found.status, found.detail) == ("fail", "1 in these settings; the stream analytics:events:{1} exists")


async def test_processes_of_another_release_are_found(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(settings, "ingest"):
        assert check_releases(await read_fleet(redis), release()).status == "ok"
        monkeypatch.setattr(client_names, "release", lambda: "0.0.9")
        async with connected(settings, "dashboard"):
            found = check_releases(await read_fleet(redis), release())
    assert found.status == "warn"
    assert found.detail.startswith("0.0.9 in dashboard ")


async def test_a_release_that_does_not_name_its_processes_is_found(settings: Settings, redis: Redis) -> None:
    async with Redis.from_url(settings.redis_dsn, client_name="studyin-analytics") as old:
        await old.ping()
        found = check_releases(await read_fleet(redis), release())
    assert (found.status, found.detail) == ("warn", "an earlier release has 1 connections")


async def test_processes_of_another_database_of_the_server_belong_to_another_system(
    settings: Settings, redis: Redis
) -> None:
    elsewhere = of_database(settings, 1).model_copy(update={"stream_partitions": 4})
    async with (
        connected(settings, "ingest"),
        connected(elsewhere, "worker"),
        Redis.from_url(elsewhere.redis_dsn, client_name="studyin-analytics") as old,
    ):
        await old.ping()
        here = await fleet_of(redis)
        other = connect(elsewhere)
        there = await fleet_of(other)
        await other.aclose()
    assert [one.role for one in here.services] == ["ingest"]
    assert check_partitions(here, 1, beyond=False).status == "ok"
    assert check_releases(here, release()).status == "ok"
    assert ([one.role for one in there.services], there.unnamed_connections) == (["worker"], 1)
    assert here.clients >= 4


def of_database(settings: Settings, number: int) -> Settings:
    address = urlsplit(settings.redis_dsn)._replace(path=f"/{number}").geturl()
    return settings.model_copy(update={"redis_url": SecretStr(address)})


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("redis://h", 0),
        ("redis://h/3", 3),
        ("redis://h?db=3", 3),
        ("rediss://h/3", 3),
        ("unix:///run/redis.sock", 0),
        ("unix:///run/redis.sock?db=3", 3),
        ("redis+sentinel://h:26379/mymaster", 0),
        ("redis+sentinel://h:26379/mymaster/3", 3),
    ],
)
def test_the_database_is_that_of_the_url(url: str, number: int) -> None:
    assert database_of(connect(Settings.model_validate({"environment": "dev", "redis_url": url}))) == number


async def test_a_command_is_no_process_of_the_fleet(settings: Settings, redis: Redis) -> None:
    async with connected(settings.model_copy(update={"stream_partitions": 4}), "command"):
        fleet = await fleet_of(redis)
    assert {one.role for one in fleet.processes} == {"command"}
    assert fleet.services == ()
    assert check_partitions(fleet, 1, beyond=False).status == "ok"


async def test_a_login_that_may_not_list_clients_finds_nothing(settings: Settings, redis: Redis) -> None:
    async with redis_users(redis) as users:
        client = connect(as_user(settings, "dashboard", users))
        fleet = await read_fleet(client)
        await client.aclose()
    assert fleet is None
    assert (
        check_releases(fleet, release()).detail == "unknown: this login lacks the right to CLIENT LIST (+client|list)"
    )


async def test_every_chore_succeeds_with_the_rights_of_maintenance_and_is_published(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chore_log, "PUBLISH_INTERVAL", timedelta(milliseconds=50))
    assert check_chores(await read_chores(redis), utc_now()).detail == "no process reports its chores"
    async with (
        redis_users(redis) as users,
        looping(maintenance.run, as_user(settings, "maintenance", users, settings.database_dsn)),
    ):

        async def all_have_run() -> bool:
            records = await read_chores(redis)
            return records is not None and all(one.succeeded_at or one.failed_at for one in records)

        await eventually(all_have_run)
        found = {one.name: one for one in await read_chores(redis) or []}
    assert found["trim_streams"].every.total_seconds() == 60
    assert [one for one in found.values() if one.error] == []
    assert check_chores(list(found.values()), utc_now()).status == "ok"
    assert await redis.ttl(CHORES) > 0


async def test_a_chore_that_does_not_succeed_is_overdue_after_some_runs(redis: Redis) -> None:
    now, minute = utc_now(), timedelta(minutes=1)
    failing = ChoreRecord(name="trim_streams", every=minute, since=now, failed_at=now, error="away")
    await publish_chores(redis, [failing])
    records = await read_chores(redis)
    assert check_chores(records, now + 8 * minute).status == "ok"
    found = check_chores(records, now + 9 * minute)
    assert (found.status, found.detail) == ("warn", "trim_streams: no success yet, away")
    failing.succeeded_at = now + minute
    assert check_chores([failing], now + 9 * minute).status == "ok"


async def test_a_chore_that_ran_in_the_future_is_found() -> None:
    now, minute = utc_now(), timedelta(minutes=1)
    record = ChoreRecord(name="trim_streams", every=minute, since=now, succeeded_at=now + timedelta(seconds=4))
    assert check_chores([record], now).status == "ok"
    record.succeeded_at = now + minute
    found = check_chores([record], now)
    assert found.status == "fail"
    assert found.detail.startswith("ran in the future: trim_streams: last success 20")
    assert check_chores([ChoreRecord(name="x", every=minute, since=now + minute)], now).status == "fail"


async def test_records_of_another_release_are_no_records(redis: Redis) -> None:
    await redis.set(CHORES, '[{"name": "x"}]')
    assert await read_chores(redis) is None
