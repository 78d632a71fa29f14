"""The stream on a real server: entries are appended once, all are read, and none is trimmed too early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from runtime.errors import StreamUnavailable
from runtime.settings import Settings
from schemas.entry import decode, encode, pack
from stream.entries.books import StreamBooks, read_stream_books
from stream.entries.consumer import Consumer
from stream.entries.entry import Entry
from stream.entries.groups import ensure_group, remove_idle_consumers
from stream.entries.lag import consistent_through, measure
from stream.entries.producer import partition_of
from stream.entries.trimmer import trim
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import connect
from telemetry import metrics
from tests.support.entries import append_events, stream_entries
from tests.support.events import event, learner

KEY = stream_key(0)
WEEK = timedelta(days=7)
AMPLE = 1024**3


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(Settings.model_validate({"redis_url": redis_url}), blocking=True)
    yield client
    await client.aclose()


def consumer(redis: Redis, name: str = "one", *, claim_idle: float = 120.0) -> Consumer:
    return Consumer(redis, 0, STORE_GROUP, name, claim_idle_seconds=claim_idle)


async def append(redis: Redis, count: int, partitions: int = 1) -> None:
    await append_events(redis, [event("session_start", number=number) for number in range(count)], partitions)


async def read_all(reader: Consumer) -> list[Entry]:
    entries: list[Entry] = []
    while page := await reader.read(10, 1):
        entries += page
    return entries


async def test_what_was_appended_is_read_in_order(redis: Redis) -> None:
    events = [event("session_start", number=number) for number in range(2_500)]
    await append_events(redis, events)
    await ensure_group(redis, 0, STORE_GROUP)
    assert [decode(entry.fields) for entry in await read_all(consumer(redis))] == events


async def test_an_entry_is_the_row_of_its_event(redis: Redis) -> None:
    one = event("xp_earned", {"xp_amount": 5}, source="a\tb", session_id=UUID(int=7))
    await append_events(redis, [one])
    [(_, fields)] = await stream_entries(redis)
    assert fields == {b"row": pack(encode(one)).encode()}


async def test_one_flush_is_one_call(redis: Redis) -> None:
    await append(redis, 1)
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await append(redis, 500)
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == before + 1


async def test_a_learner_has_one_partition_and_learners_are_spread(redis: Redis) -> None:
    events = [event("session_start", number=number, user_hash=learner(number % 40)) for number in range(200)]
    await append_events(redis, events, 4)
    owners: dict[bytes, int] = {}
    for partition in range(4):
        for _, fields in await stream_entries(redis, partition):
            owner = decode(fields).user_hash
            assert owner is not None
            assert owners.setdefault(owner, partition) == partition
    assert len(set(owners.values())) == 4
    assert partition_of(encode(events[0]._replace(user_hash=None)), 1) == 0


async def test_out_of_memory_is_said_and_nothing_is_appended(redis: Redis) -> None:
    await append(redis, 1)
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StreamUnavailable) as refused:
            await append(redis, 100)
    finally:
        await redis.config_set("maxmemory", 0)
    assert refused.value.reason == "out_of_memory"
    assert await redis.xlen(KEY) == 1


async def test_an_unreachable_server_is_reported() -> None:
    client = connect(Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0"}))
    with pytest.raises(StreamUnavailable):
        await append(client, 1)
    await client.aclose()


async def test_a_group_sees_what_was_written_before_it_existed(redis: Redis) -> None:
    await append(redis, 3)
    assert await ensure_group(redis, 0, STORE_GROUP)
    assert not await ensure_group(redis, 0, STORE_GROUP)
    assert len(await read_all(consumer(redis))) == 3


async def test_a_worker_can_begin_to_drain_a_redis_that_is_out_of_memory(redis: Redis) -> None:
    await append(redis, 3)
    await ensure_group(redis, 0, STORE_GROUP)
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StreamUnavailable, match="out_of_memory"):
            await append(redis, 1)
        reader = consumer(redis)
        await reader.join()
        assert len(await read_all(reader)) == 3
    finally:
        await redis.config_set("maxmemory", 0)


async def test_entries_are_given_to_one_consumer_and_only_once(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append(redis, 30)
    one, two = consumer(redis, "one"), consumer(redis, "two")
    mine, others = await one.read(10, 1), await read_all(two)
    assert len(mine) == 10
    assert len(others) == 20
    assert await read_all(one) == []
    await one.acknowledge([entry.id for entry in mine])
    await two.acknowledge([entry.id for entry in others])
    assert (await measure(redis, 0)).pending == 0


async def test_a_consumer_that_starts_again_under_its_name_finds_what_it_had(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append(redis, 25)
    first = await read_all(consumer(redis))
    assert await read_all(consumer(redis)) == first


async def test_a_cancelled_read_delays_its_entries_and_loses_none(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    reader = consumer(redis)
    seen: list[str] = []
    for _ in range(50):
        reading = asyncio.create_task(reader.read(10, 1_000))
        await append(redis, 1)
        reading.cancel()
        try:
            seen += [entry.id for entry in await reading]
        except asyncio.CancelledError:
            # a cancelled worker ends; the next worker with its name reads its pending entries
            reader = consumer(redis)
            seen = []
    seen += [entry.id for entry in await read_all(reader)]
    assert len(set(seen)) == 50


async def test_a_failed_read_is_followed_by_what_it_may_have_taken(redis: Redis, redis_url: str) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    reader = consumer(redis)
    assert await read_all(reader) == []
    await append(redis, 3)
    async with Redis.from_url(redis_url) as other:
        # with the same name it gets the entries that a lost reply would have held
        await other.xreadgroup(STORE_GROUP, "one", {KEY: ">"})
        reading = asyncio.create_task(reader.read(10, 1_000))
        async for clients in _clients(other):
            if clients["blocked_clients"]:
                break
        await other.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(StreamUnavailable):
        await reading
    assert len(await read_all(reader)) == 3


async def test_entries_of_a_silent_consumer_are_taken_over(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append(redis, 2_500)
    lost = await read_all(consumer(redis, "gone"))
    before = metrics.CLAIMED._value.get()
    heir = consumer(redis, "heir", claim_idle=0.001)
    found = [entry for _ in range(20) for entry in await heir.read(1_000, 5)]
    assert {entry.id for entry in found} == {entry.id for entry in lost}
    assert metrics.CLAIMED._value.get() >= before + 2_500


async def test_entries_of_a_living_consumer_are_left_alone(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append(redis, 3)
    await read_all(consumer(redis, "busy"))
    assert await read_all(consumer(redis, "idle", claim_idle=60.0)) == []


async def test_a_group_that_vanished_is_made_again_from_the_first_entry(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    reader = consumer(redis)
    await read_all(reader)
    before = metrics.STREAM_RECREATED._value.get()
    blocked = asyncio.create_task(reader.read(10, 1_000))
    await redis.flushdb()
    await append(redis, 3)
    entries = await blocked + await read_all(reader)
    assert len(entries) == 3
    assert metrics.STREAM_RECREATED._value.get() == before + 1


async def test_an_entry_removed_under_a_consumer_is_reported_as_lost(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append(redis, 2)
    [first, second] = await read_all(consumer(redis))
    await redis.xdel(KEY, first.id)
    before = metrics.LOST._value.get()
    assert await read_all(consumer(redis)) == [second]
    assert metrics.LOST._value.get() == before + 1
    assert (await measure(redis, 0)).pending == 1


async def test_lag_counts_what_is_not_settled(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    empty = await measure(redis, 0)
    assert (empty.appended, empty.undelivered, empty.pending, empty.seconds) == (0, 0, 0, 0.0)

    await append(redis, 10)
    reader = consumer(redis)
    taken = await reader.read(4, 1)
    lag = await measure(redis, 0)
    assert (lag.appended, lag.length, lag.undelivered, lag.pending) == (10, 10, 6, 4)
    assert lag.oldest_unsettled_at is not None
    assert await consistent_through(redis, [0]) == lag.oldest_unsettled_at

    rest = taken + await read_all(reader)
    await reader.acknowledge([entry.id for entry in rest])
    settled = await measure(redis, 0)
    assert (settled.appended, settled.undelivered, settled.pending, settled.seconds) == (10, 0, 0, 0.0)
    assert await consistent_through(redis, [0]) >= settled.redis_now


async def test_lag_that_redis_does_not_know_is_unknown_not_zero(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append(redis, 3)
    [_, (second, _), _] = await stream_entries(redis)
    await redis.xdel(KEY, second)
    lag = await measure(redis, 0)
    assert lag.undelivered is None
    assert lag.seconds > 0 or lag.oldest_unsettled_at is not None


async def test_what_nobody_has_settled_is_never_trimmed(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append(redis, 500)
    at_once = timedelta(0)
    assert (await trim(redis, 0, at_once, AMPLE)).removed == 0

    reader = consumer(redis)
    taken = await reader.read(300, 1)
    assert (await trim(redis, 0, at_once, AMPLE)).removed == 0

    await reader.acknowledge([entry.id for entry in taken[100:]])
    assert (await trim(redis, 0, at_once, AMPLE)).removed == 0

    await reader.acknowledge([entry.id for entry in taken[:100]])
    assert (await trim(redis, 0, at_once, AMPLE)).removed == 300
    assert len(await read_all(reader)) == 200


async def test_a_second_group_holds_the_trimmer_back(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await ensure_group(redis, 0, "other")
    await append(redis, 10)
    reader = consumer(redis)
    await reader.acknowledge([entry.id for entry in await read_all(reader)])
    assert (await trim(redis, 0, timedelta(0), AMPLE)).removed == 0


async def test_settled_entries_stay_for_their_retention(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append(redis, 10)
    reader = consumer(redis)
    await reader.acknowledge([entry.id for entry in await read_all(reader)])
    assert (await trim(redis, 0, WEEK, AMPLE)).removed == 0
    assert (await trim(redis, 0, timedelta(0), AMPLE)).removed == 10


async def test_past_the_budget_the_oldest_settled_entries_go_early(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append(redis, 5_000)
    used = (await trim(redis, 0, WEEK, AMPLE)).bytes_used
    assert (await trim(redis, 0, WEEK, used // 2)).removed == 0

    reader = consumer(redis)
    await reader.acknowledge([entry.id for entry in await read_all(reader)])
    result = await trim(redis, 0, WEEK, used // 2)
    assert 2_000 < result.removed < 3_000
    assert result.bytes_used < used


async def test_without_its_group_a_stream_is_not_trimmed(redis: Redis) -> None:
    await append(redis, 10)
    assert (await trim(redis, 0, timedelta(0), 1)).removed == 0


async def test_idle_consumers_go_unless_they_hold_something(redis: Redis) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append(redis, 2)
    holder = await consumer(redis, "holder").read(2, 1)
    await consumer(redis, "empty").read(1, 1)
    assert await remove_idle_consumers(redis, 0, STORE_GROUP, timedelta(hours=1)) == 0
    async for facts in _idle(redis):
        if all(one["idle"] > 0 for one in facts):
            break
    assert await remove_idle_consumers(redis, 0, STORE_GROUP, timedelta(0)) == 1
    assert (await measure(redis, 0)).pending == len(holder) == 2


async def test_an_empty_server_has_nothing_to_trim_measure_or_remove(redis: Redis) -> None:
    assert (await trim(redis, 0, WEEK, AMPLE)).removed == 0
    assert (await measure(redis, 0)).undelivered == 0
    assert await remove_idle_consumers(redis, 0, STORE_GROUP, timedelta(0)) == 0


async def _idle(redis: Redis) -> AsyncIterator[list[dict[str, Any]]]:
    while True:
        yield await redis.xinfo_consumers(KEY, STORE_GROUP)


async def _clients(redis: Redis) -> AsyncIterator[dict[str, Any]]:
    while True:
        yield await redis.info("clients")


async def test_a_first_event_while_the_books_are_read_is_no_error(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = Pipeline.execute

    async def execute_before_the_event(pipeline: Any, *arguments: Any, **options: Any) -> Any:
        monkeypatch.undo()
        answers = await execute(pipeline, *arguments, **options)
        await append(redis, 1)
        return answers

    monkeypatch.setattr(Pipeline, "execute", execute_before_the_event)
    assert await read_stream_books(redis, 0) == StreamBooks(appended=0, settled=0)
    assert await read_stream_books(redis, 0) == StreamBooks(appended=1, settled=0)
