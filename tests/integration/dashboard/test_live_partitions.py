"""Subscribers to a system with several partitions receive each event once, from any process, with one cursor."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from websockets.asyncio.client import ClientConnection

from processors.maintenance.erasure import remove_suppressed
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.live_cursor import cursor_of
from storage.database.pool import open_pool
from storage.privacy.erasure import request_erasure
from stream.entries.cursor import read_cursor
from stream.keys import live_keys
from stream.server.connection import Redis
from tests.support.following import Message, following, said
from tests.support.timeline import publish_in, xp_of_many

PARTITIONS = 3


@pytest.fixture
def spread(settings: Settings) -> Settings:
    return settings.model_copy(update={"stream_partitions": PARTITIONS})


@pytest.fixture
def numbers() -> Iterator[int]:
    return iter(range(1, 1_000_000))


def ids_of(events: Sequence[AcceptedEvent]) -> list[str]:
    return sorted(str(one.event_id) for one in events)


async def messages(socket: ClientConnection, count: int) -> list[Message]:
    found: list[Message] = []
    while len(found) < count:
        frame = await said(socket)
        assert frame["type"] in ("events", "heartbeat"), frame
        found += frame.get("events", ())
    return found


async def test_every_event_arrives_once_and_in_the_order_of_its_partition(
    spread: Settings, redis: Redis, numbers: Iterator[int]
) -> None:
    await publish_in(PARTITIONS, redis, xp_of_many(numbers, 9))
    async with following(spread) as service, service.socket() as socket:
        events = xp_of_many(numbers, 60)
        for start in range(0, 60, 20):
            await publish_in(PARTITIONS, redis, events[start : start + 20])
        found = await messages(socket, 60)
    assert sorted(one["event_id"] for one in found) == ids_of(events)
    by_learner = {one.user_hash.hex(): str(one.event_id) for one in events if one.user_hash}
    assert {one["user_hash"]: one["event_id"] for one in found} == by_learner


async def test_a_subscriber_resumes_after_any_message_at_any_process(
    spread: Settings, redis: Redis, numbers: Iterator[int]
) -> None:
    dice = random.Random(7)
    await publish_in(PARTITIONS, redis, xp_of_many(numbers, 9))
    sent: list[AcceptedEvent] = []
    got: list[str] = []
    cursor: str | None = None
    async with following(spread) as one, following(spread, capacity=20) as other:
        async with one.connect() as socket:
            cursor = (await said(socket))["cursor"]
        for _ in range(12):
            events = xp_of_many(numbers, 15)
            sent += events
            # partitions are published in an order that differs, and partly later
            order = dice.sample(range(PARTITIONS), PARTITIONS)
            await publish_in(PARTITIONS, redis, events, order[: dice.randint(1, PARTITIONS)])
            service = dice.choice([one, other])
            async with service.socket(last_id=cursor) as socket:
                # disconnects at any point
                for message in (await said(socket)).get("events", ())[: dice.randint(1, 30)]:
                    got.append(message["event_id"])
                    cursor = message["id"]
        await publish_in(PARTITIONS, redis, [])
        async with other.socket(last_id=cursor) as socket:
            got += [message["event_id"] for message in await messages(socket, len(sent) - len(got))]
    assert sorted(got) == ids_of(sent)


@pytest.mark.parametrize("last_id", ["1795651200123456", "0", cursor_of((0, 0)), "~x"])
async def test_a_cursor_of_another_number_of_partitions_is_told_to_resync(
    spread: Settings, redis: Redis, numbers: Iterator[int], last_id: str
) -> None:
    await publish_in(PARTITIONS, redis, xp_of_many(numbers, 9))
    async with following(spread) as service, service.socket(last_id=last_id) as socket:
        frame = await said(socket)
        assert frame["type"] == "resync_required"
        events = xp_of_many(numbers, 9)
        await publish_in(PARTITIONS, redis, events)
        assert sorted(one["event_id"] for one in await messages(socket, 9)) == ids_of(events)


async def test_the_messages_of_an_erased_learner_leave_every_partition(
    spread: Settings, redis: Redis, database: asyncpg.Connection, numbers: Iterator[int]
) -> None:
    events = xp_of_many(numbers, 9)
    await publish_in(PARTITIONS, redis, events)
    hashes = [one.user_hash for one in events[:6] if one.user_hash]
    pool = await open_pool(spread.database_dsn, size=1, application_name="tests")
    try:
        await request_erasure(pool, hashes, "tests")
        since = datetime.now(UTC) - timedelta(days=1)
        assert (await remove_suppressed(redis, pool, since, partitions=PARTITIONS)).removed == 2 * len(hashes)
    finally:
        await pool.close()
    left = [await redis.zcard(live_keys(partition, PARTITIONS).timeline) for partition in range(PARTITIONS)]
    assert sum(left) == 3
    assert all([await read_cursor(redis, partition) for partition in range(PARTITIONS)])
