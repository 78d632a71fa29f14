"""A planned failover of Redis that cuts no connection: the address moves, and the old primary becomes a replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cli.local.embedded.valkey import Valkey
from ingest.routes import TRACK
from runtime.clock import utc_now
from runtime.errors import StreamUnavailable
from runtime.settings import Durability, Settings
from schemas.entry import encode, read
from stream.entries.lag import consistent_through
from stream.entries.producer import Producer
from stream.server.connection import connect
from stream.server.health import primary
from tests.support.access import WRITE_KEY
from tests.support.assembled import assembled
from tests.support.entries import stream_entries
from tests.support.events import event, uuid7
from tests.support.proxy import Proxy
from tests.support.replication import follow, pair
from tests.support.waiting import eventually

SENT = 400
HALF = SENT // 2


class Address:
    """The address of two servers, of which the first is the primary until `fail_over`."""

    def __init__(self, first: Valkey, second: Valkey, proxy: Proxy) -> None:
        self._first = first
        self._second = second
        self._proxy = proxy

    @property
    def url(self) -> str:
        """The URL for clients."""
        return self._proxy.url

    async def fail_over(self) -> None:
        """Swap the roles and lead new connections to the new primary. Open connections stay where they are."""
        async with Redis.from_url(self._first.url, protocol=2) as first:
            await first.execute_command("FAILOVER")  # type: ignore[no-untyped-call]

            async def is_replica() -> bool:
                return bool((await first.info("replication"))["role"] == "slave")

            await eventually(is_replica)
        self._proxy.lead_to(self._second.url)


@pytest.fixture
async def address(data_directory: Path) -> AsyncIterator[Address]:
    with pair(data_directory) as (first, second):
        await follow(second, first)
        async with Redis.from_url(first.url, protocol=2) as client:
            await client.config_set("masterauth", urlsplit(first.url).password or "")
        async with Proxy(first.url).running() as proxy:
            yield Address(first, second, proxy)


@pytest.fixture
async def redis(address: Address, settings: Settings) -> AsyncIterator[Redis]:
    client = connect(settings.model_copy(update={"redis_url": SecretStr(address.url)}))
    yield client
    await client.aclose()


@pytest.mark.parametrize("durability", ["server", "local", "replica"])
async def test_after_one_refused_append_the_next_one_reaches_the_new_primary(
    address: Address, redis: Redis, durability: Durability
) -> None:
    producer = Producer(redis, 1, durability)
    before, after = (encode(event("xp_earned", number=number)) for number in (1, 2))
    await producer.append([before])
    await address.fail_over()

    with pytest.raises(StreamUnavailable, match="read_only"):
        await producer.append([after])
    await producer.append([after])
    assert [read(fields).event_id for _, fields in await stream_entries(redis)] == [
        before.event_id,
        after.event_id,
    ]


async def test_a_check_fails_on_a_replica_and_the_next_one_reaches_the_primary(address: Address, redis: Redis) -> None:
    assert await primary(redis) == "is a primary"
    await address.fail_over()
    with pytest.raises(StreamUnavailable, match="read_only"):
        await primary(redis)
    assert await primary(redis) == "is a primary"


async def test_a_replica_does_not_decide_what_is_complete(address: Address, redis: Redis) -> None:
    await consistent_through(redis, [0])
    await address.fail_over()
    with pytest.raises(StreamUnavailable, match="read_only"):
        await consistent_through(redis, [0])
    later = utc_now()
    assert await consistent_through(redis, [0]) >= later.replace(microsecond=0)


async def test_a_running_system_follows_and_loses_nothing(
    address: Address, settings: Settings, database: asyncpg.Connection
) -> None:
    on_address = settings.model_copy(update={"redis_url": SecretStr(address.url)})
    ids = [str(uuid7(utc_now(), number)) for number in range(SENT)]
    async with assembled(on_address) as system, httpx.AsyncClient(base_url=f"http://{system.ingest}") as client:
        await send(client, ids[:HALF])
        await address.fail_over()
        refused = await send(client, ids[HALF:])
        await system.settled()

    assert refused > 0
    stored = {str(row["event_id"]) for row in await database.fetch("SELECT event_id FROM analytics_events")}
    assert stored == set(ids)
    assert await database.fetchval("SELECT count(*) FROM dead_letters") == 0


async def send(client: httpx.AsyncClient, ids: list[str]) -> int:
    """Send an event with each id until it is accepted. Return how often one was refused with 503."""
    refused = 0

    async def one(event_id: str) -> None:
        nonlocal refused
        body: dict[str, Any] = {"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 1}}
        headers = {"Authorization": f"Bearer {WRITE_KEY}"}
        while (answer := await client.post(TRACK, json=body | {"event_id": event_id}, headers=headers)).is_error:
            assert answer.status_code == 503, answer.text
            refused += 1

    for start in range(0, len(ids), 20):
        await asyncio.gather(*map(one, ids[start : start + 20]))
    return refused
