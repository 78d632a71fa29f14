"""What a 202 survives at each durability level: killed servers, stalled disks, stopped replicas."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from cli.local.embedded.valkey import Valkey
from ingest.routes import TRACK
from ingest.server import create_app, open_gauge
from runtime.clock import utc_now
from runtime.errors import StreamUnavailable
from runtime.settings import Durability, Settings
from schemas.entry import encode, read
from stream.diagnosis import diagnose
from stream.entries.producer import MAX_EVENTS_PER_CALL, Producer
from stream.keys import stream_key
from stream.server.connection import connect
from tests.support.access import API_KEYS, PSEUDONYM_KEYS, WRITE_KEY
from tests.support.altered_valkey import on_a_slow_disk, without
from tests.support.entries import stream_entries
from tests.support.events import event, uuid7
from tests.support.replication import follow, pair
from tests.support.waiting import eventually

SENDERS = 32
SLOW, SLOWER = 0.3, 1.0
"""Duration of an fsync in seconds. With the longer one and one fsync a second, the disk is almost always busy."""

SOON = 0.2
"""Confirmation timeout in seconds, for tests that expect a refusal."""


def settings_for(server: Valkey, **more: Any) -> Settings:
    given = {"environment": "dev", "pseudonym_keys": PSEUDONYM_KEYS, "api_keys": json.loads(API_KEYS)}
    return Settings.model_validate(given | {"redis_url": server.url} | more)


@asynccontextmanager
async def client_of(server: Valkey) -> AsyncIterator[Redis]:
    redis = connect(settings_for(server))
    try:
        yield redis
    finally:
        await redis.aclose()


@asynccontextmanager
async def ingest_on(server: Valkey, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings_for(server, **more)
    async with client_of(server) as redis:
        gauge = open_gauge(settings, redis)
        await gauge.sample()
        transport = httpx.ASGITransport(create_app(settings, redis, asyncio.Event(), gauge))
        headers = {"Authorization": f"Bearer {WRITE_KEY}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
            yield client


def an_event(number: int) -> dict[str, Any]:
    properties = {"xp_amount": 1}
    event_id = str(uuid7(utc_now(), number))
    return {"event_type": "xp_earned", "user_id": "u", "event_id": event_id, "properties": properties}


async def stored_ids(server: Valkey) -> set[str]:
    async with client_of(server) as redis:
        return {read(fields).event_id for _, fields in await stream_entries(redis)}


async def accepted_until_killed(server: Valkey, durability: Durability) -> set[str]:
    """Send events concurrently and kill the server meanwhile; return the ids of events that got a 202."""
    accepted: set[str] = set()
    numbers = count()
    killed = False

    async def send_on(client: httpx.AsyncClient) -> None:
        while not killed:
            sent = an_event(next(numbers))
            if (await client.post(TRACK, json=sent)).status_code == 202:
                accepted.add(sent["event_id"])

    async with ingest_on(server, durability=durability) as client:
        senders = [asyncio.create_task(send_on(client)) for _ in range(SENDERS)]
        await eventually(lambda: len(accepted) >= 2 * SENDERS)
        server.kill()
        killed = True
        await asyncio.gather(*senders)
    return accepted


async def lost_by_a_kill(directory: Path, fsync: Any, durability: Durability, stall: float) -> set[str]:
    """Return the ids of events that got a 202 from a server on a slow disk and were lost when it was killed."""
    server = Valkey(directory / "redis", program=on_a_slow_disk(directory, stall), fsync=fsync)
    server.start()
    accepted = await accepted_until_killed(server, durability)
    again = Valkey(directory / "redis", fsync=fsync)
    again.start()
    try:
        return accepted - await stored_ids(again)
    finally:
        again.stop()


@pytest.mark.needs_tool("strace")
@pytest.mark.parametrize(
    ("fsync", "durability", "stall"),
    [("always", "server", SLOW), ("always", "local", SLOW), ("everysec", "local", SLOWER)],
)
async def test_what_is_on_disk_survives_a_kill_while_the_disk_stalls(
    data_directory: Path, fsync: str, durability: Durability, stall: float
) -> None:
    assert await lost_by_a_kill(data_directory, fsync, durability, stall) == set()


@pytest.mark.needs_tool("strace")
async def test_the_same_kill_loses_what_is_not_on_disk(data_directory: Path) -> None:
    """Control: shows that the scenario of the test above can lose events."""
    for attempt in count():
        place = data_directory / str(attempt)
        place.mkdir()
        if await lost_by_a_kill(place, "everysec", "server", SLOWER):
            break


@contextmanager
def stopped(server: Valkey) -> Iterator[None]:
    """Freeze a server for the block."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.parametrize("durability", ["server", "replica"])
async def test_only_what_a_replica_has_survives_the_loss_of_the_machine(
    data_directory: Path, durability: Durability
) -> None:
    with pair(data_directory) as (primary, replica):
        await follow(replica, primary)
        async with ingest_on(primary, durability=durability) as client:
            first, second = an_event(1), an_event(2)
            assert (await client.post(TRACK, json=first)).status_code == 202

            async def is_replicated() -> bool:
                return first["event_id"] in await stored_ids(replica)

            await eventually(is_replicated)
            replica.kill()
            answer = await client.post(TRACK, json=second)
            primary.kill()
        replica.start()
        survived = await stored_ids(replica)
    assert (first["event_id"] in survived, second["event_id"] in survived) == (True, False)
    if durability == "replica":
        assert (answer.status_code, answer.json()["code"]) == (503, "not_durable")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["event_ids"] == [second["event_id"]]
    else:
        assert answer.status_code == 202


@pytest.mark.parametrize("knows_waitaof", [True, False])
async def test_a_replica_is_waited_for_whatever_the_server_knows(data_directory: Path, knows_waitaof: bool) -> None:
    program = None if knows_waitaof else without(data_directory, "WAITAOF")
    with pair(data_directory, program) as (primary, replica):
        async with client_of(primary) as redis:
            producer = Producer(redis, 1, "replica", SOON)
            with pytest.raises(StreamUnavailable, match="not_durable"):
                await producer.append([encode(event("session_start", number=1))])
            await follow(replica, primary)
            # the first may come before the replica has reported its offset
            await eventually(lambda: accepted(producer))
            with stopped(replica), pytest.raises(StreamUnavailable) as refused:
                await producer.append([encode(event("session_start", number=3))])
            assert ("WAITAOF" in refused.value.detail) == knows_waitaof
            await eventually(lambda: accepted(producer))


async def accepted(producer: Producer) -> bool:
    try:
        await producer.append([encode(event("session_start", number=2))])
    except StreamUnavailable as error:
        if error.reason != "not_durable":
            raise
        return False
    return True


@pytest.mark.parametrize("setting", ["appendfsync", "appendonly"])
async def test_a_disk_that_is_not_waited_for_confirms_nothing(own_valkey: Valkey, setting: str) -> None:
    async with client_of(own_valkey) as redis:
        producer = Producer(redis, 1, "local", SOON)
        assert await accepted(producer)
        await redis.config_set(setting, "no")
        assert not await accepted(producer)
        # the level `server` needs no confirmation
        await Producer(redis, 1, "server").append([encode(event("session_start", number=3))])


async def test_a_server_that_cannot_confirm_the_disk_is_not_believed(data_directory: Path) -> None:
    server = Valkey(data_directory / "redis", program=without(data_directory, "WAITAOF"))
    server.start()
    try:
        async with client_of(server) as redis:
            assert not await accepted(Producer(redis, 1, "local", SOON))
    finally:
        server.stop()


async def test_a_refused_append_is_told_by_its_own_reason(own_valkey: Valkey) -> None:
    async with client_of(own_valkey) as redis:
        producer = Producer(redis, 1, "local", SOON)
        await producer.append([encode(event("session_start"))])
        await redis.config_set("maxmemory", 1)
        with pytest.raises(StreamUnavailable) as refused:
            await producer.append([encode(event("session_start", number=n)) for n in range(2 * MAX_EVENTS_PER_CALL)])
        assert refused.value.reason == "out_of_memory"
        assert await redis.xlen(stream_key(0)) == 1


async def findings(redis: Redis, durability: Durability) -> dict[str, str]:
    found = await diagnose(redis, 1, utc_now(), 120, durability)
    return {finding.name: finding.status for finding in found}


async def test_the_doctor_knows_what_the_level_needs(own_valkey: Valkey, data_directory: Path) -> None:
    async with client_of(own_valkey) as redis:
        assert (await findings(redis, "local"))["redis.fsync"] == "ok"
        await redis.config_set("appendfsync", "everysec")
        assert (await findings(redis, "server"))["redis.fsync"] == "warn"
        assert (await findings(redis, "local"))["redis.fsync"] == "ok"
        await redis.config_set("appendonly", "no")
        assert (await findings(redis, "local"))["redis.persistence"] == "fail"
        assert (await findings(redis, "memory"))["redis.persistence"] == "warn"
    old = Valkey(data_directory / "old", program=without(data_directory, "WAITAOF"))
    old.start()
    try:
        async with client_of(old) as redis:
            levels: list[Durability] = ["server", "local", "replica"]
            assert [(await findings(redis, level))["redis.waitaof"] for level in levels] == ["ok", "fail", "warn"]
    finally:
        old.stop()


async def test_the_doctor_finds_a_server_that_confirms_what_is_not_on_disk(own_valkey: Valkey) -> None:
    """The Valkey of this project is such a server. When that changes, docs/operations.md can promise more."""
    async with client_of(own_valkey) as redis:

        async def is_warned() -> bool:
            return (await findings(redis, "local")).get("redis.confirmations") == "warn"

        assert not await is_warned()
        await redis.config_set("appendfsync", "everysec")
        # on a busy machine the confirmation may be late enough to look correct
        await eventually(is_warned)


@pytest.mark.parametrize(
    ("environment", "durability", "taken"),
    [("production", "server", False), ("production", "memory", True), ("dev", "server", True)],
)
async def test_in_production_nothing_is_entrusted_to_memory_unless_told_so(
    own_valkey: Valkey, environment: str, durability: Durability, taken: bool
) -> None:
    async with client_of(own_valkey) as redis:
        await redis.config_set("appendonly", "no")
        async with ingest_on(own_valkey, environment=environment, durability=durability) as client:
            answer = await client.post(TRACK, json=an_event(1))
            assert answer.status_code == (202 if taken else 503)
            assert taken or answer.json()["code"] == "not_durable"
            assert (await client.get("/readyz")).status_code == (200 if taken else 503)
        assert await redis.xlen(stream_key(0)) == int(taken)
        await redis.config_set("appendonly", "yes")

        async def is_written() -> bool:
            return not (await redis.info("persistence"))["aof_rewrite_in_progress"]

        # the server would not shut down before either
        await eventually(is_written)
        async with ingest_on(own_valkey, environment=environment, durability=durability) as client:
            assert (await client.post(TRACK, json=an_event(2))).status_code == 202
            assert (await client.get("/readyz")).status_code == 200
