"""The bus within the cluster, on a real Redis, with connections that break."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

import pytest
from redis.asyncio import Redis
from studyin_analytics import EventBus, SubscriptionRefused, redis_names
from studyin_analytics.live_frames import Gap
from studyin_analytics.live_redis import PAGE, RedisSource
from studyin_analytics.retry import Backoff
from studyin_analytics.schemas.live import LiveEvent

from stream import keys
from tests.support.events import event
from tests.support.proxy import Fault, Proxy
from tests.support.scripted_live import message
from tests.support.timeline import publish as publish_as_workers_do
from tests.support.timeline import publish_in, xp_of_many
from tests.support.waiting import eventually

KINDS = ("xp_earned", "level_up", "xp_earned", "xp_earned")
QUIET_SECONDS, PATIENCE = 0.05, 0.5


@pytest.fixture(name="redis")
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def publish(redis: Redis, *numbers: int, event_type: str = "xp_earned") -> None:
    """Publish events as the pipeline does: the timeline, the newest id and the channel, atomically."""
    async with redis.pipeline(transaction=True) as pipeline:
        for number in numbers:
            text = json.dumps(message(number, event_type))
            pipeline.zadd(keys.TIMELINE, {text: number})
            pipeline.hset(keys.LIVE_STATE, "last", str(number))
            pipeline.publish(keys.channel(event_type), text)
        await pipeline.execute()


async def forget_through(redis: Redis, number: int) -> None:
    await redis.zremrangebyscore(keys.TIMELINE, 0, number)
    await redis.hset(keys.LIVE_STATE, "floor", str(number))


class Listener:
    """A listening bus and the events it received."""

    def __init__(self, url: str, last_id: str | None = None) -> None:
        self.ids: list[int] = []
        self.gaps: list[Gap] = []
        self.bus = EventBus(
            source=RedisSource(url, QUIET_SECONDS, PATIENCE),
            last_id=last_id,
            reconnect=Backoff(0.01, 0.01, lambda: 0.5),
        )
        self.bus.on_gap(self.gaps.append)

    def hear(self, event: LiveEvent) -> None:
        self.ids.append(int(event.id))

    @asynccontextmanager
    async def listening(self, types: list[str] | None = None) -> AsyncIterator[None]:
        await self.bus.subscribe(types, self.hear)
        task = asyncio.create_task(self.bus.start_listening())
        try:
            if self.bus.last_id is None:
                await eventually(lambda: self.bus.last_id is not None)
            yield
            self.bus.stop()
            await task
        finally:
            task.cancel()


def test_the_names_are_those_of_the_pipeline() -> None:
    assert keys.channel("") == redis_names.CHANNEL_PREFIX
    assert (redis_names.TIMELINE, redis_names.LIVE_STATE) == (keys.TIMELINE, keys.LIVE_STATE)
    for partition, partitions in ((0, 1), (0, 3), (2, 3)):
        assert redis_names.live_names(partition, partitions) == keys.live_keys(partition, partitions)[:2]


async def test_it_hears_what_is_published_of_its_types(redis: Redis, redis_url: str) -> None:
    await publish(redis, 1, 2)
    listener = Listener(redis_url)
    async with listener.listening(["xp_earned"]):
        await publish(redis, 3, event_type="level_up")
        await publish(redis, 4, 5)
        await eventually(lambda: len(listener.ids) == 2)
    assert listener.ids == [4, 5]


async def test_it_hears_what_live_workers_publish(redis: Redis, redis_url: str) -> None:
    await publish_as_workers_do(redis, [event("level_up", {"new_level": 2})])
    listener = Listener(redis_url)
    async with listener.listening(["xp_earned"]):
        sent = [event(kind, {"xp_amount": 1} if kind == "xp_earned" else {"new_level": 2}) for kind in KINDS]
        ids = [int(one) for one in await publish_as_workers_do(redis, sent)]
        wanted = [number for number, kind in zip(ids, KINDS, strict=True) if kind == "xp_earned"]
        await eventually(lambda: len(listener.ids) >= len(wanted))
    assert listener.ids == wanted
    assert listener.gaps == []


async def test_it_goes_on_behind_an_id_however_much_came_since(redis: Redis, redis_url: str) -> None:
    await publish(redis, *range(1, PAGE + 50))
    listener = Listener(redis_url, last_id="10")
    async with listener.listening():
        await eventually(lambda: len(listener.ids) >= PAGE + 39)
        await publish(redis, 5_000)
        await eventually(lambda: listener.ids[-1] == 5_000)
    assert listener.ids == [*range(11, PAGE + 50), 5_000]
    assert listener.gaps == []


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.SWALLOW])
async def test_what_came_while_it_was_cut_off_is_heard_once_and_in_order(
    redis: Redis, redis_url: str, fault: Fault
) -> None:
    proxy = Proxy(redis_url)
    async with proxy.running():
        listener = Listener(proxy.url)
        async with listener.listening():
            await publish(redis, 1)
            await eventually(lambda: listener.ids == [1])
            proxy.break_down(fault)
            await publish(redis, 2, 3)
            await eventually(lambda: proxy.lost_connections)
            proxy.heal()
            await publish(redis, 4)
            await eventually(lambda: len(listener.ids) >= 4)
    assert listener.ids == [1, 2, 3, 4]
    assert listener.gaps == []


async def test_what_the_timeline_has_lost_is_told(redis: Redis, redis_url: str) -> None:
    await publish(redis, 1, 2, 3)
    await forget_through(redis, 2)
    listener = Listener(redis_url, last_id="1")
    async with listener.listening():
        await eventually(lambda: listener.gaps)
        await publish(redis, 4)
        await eventually(lambda: listener.ids)
    assert listener.gaps == [Gap("3", "history_gone")]
    assert listener.ids == [4]


async def test_a_rare_type_is_no_reason_to_miss_anything(redis: Redis, redis_url: str) -> None:
    listener = Listener(redis_url)
    async with listener.listening(["level_up"]):
        await publish(redis, 1, 2, 3)
        await eventually(lambda: listener.bus.last_id == "3")
        await forget_through(redis, 3)
        await redis.client_kill_filter(_type="pubsub")
        await publish(redis, 4, event_type="level_up")
        await eventually(lambda: listener.ids == [4])
    assert listener.gaps == []


async def test_a_login_that_is_not_good_ends_it_with_a_clear_error(redis: Redis, redis_url: str) -> None:
    await redis.acl_setuser(
        "deaf", enabled=True, passwords=["+pw"], categories=["+@all"], keys=["*"], reset_channels=True
    )
    address = redis_url.partition("://")[2].rpartition("@")[2]
    try:
        for login, status in (("deaf:wrong", 401), ("deaf:pw", 403)):
            bus = EventBus(source=RedisSource(f"redis://{login}@{address}"))
            await bus.subscribe(None, lambda _: None)
            with pytest.raises(SubscriptionRefused) as raised:
                await bus.start_listening()
            assert raised.value.status == status
    finally:
        await redis.acl_deluser("deaf")


def has_heard(heard: list[UUID], count: int) -> bool:
    return len(heard) >= count


async def test_events_of_several_partitions_come_once_also_after_an_interruption(redis: Redis, redis_url: str) -> None:
    numbers = iter(range(1, 1_000))
    await publish_in(3, redis, xp_of_many(numbers, 9))
    sent: list[UUID] = []
    heard: list[UUID] = []
    last_id = None
    for _ in range(4):
        listener = Listener(redis_url, last_id)
        listener.hear = lambda event: heard.append(event.event_id)  # type: ignore[method-assign]
        async with listener.listening():
            for only in ([2], [1, 0], [0, 1, 2]):
                events = xp_of_many(numbers, 7)
                sent.extend(one.event_id for one in events)
                await publish_in(3, redis, events, only)
            await eventually(partial(has_heard, heard, len(sent)))
        last_id = listener.bus.last_id
        # while nobody listens
        events = xp_of_many(numbers, 7)
        sent.extend(one.event_id for one in events)
        await publish_in(3, redis, events)
        assert listener.gaps == []
    assert sorted(heard) == sorted(sent[:-7])


async def test_a_cursor_of_another_number_of_partitions_is_a_gap(redis: Redis, redis_url: str) -> None:
    await publish_in(3, redis, xp_of_many(iter(range(1, 100)), 9))
    listener = Listener(redis_url, last_id="10")
    async with listener.listening():
        await eventually(lambda: [one.reason for one in listener.gaps] == ["history_gone"])


async def test_more_partitions_than_were_known_are_a_gap(redis: Redis, redis_url: str) -> None:
    numbers = iter(range(1, 1_000))
    listener = Listener(redis_url)
    heard: list[UUID] = []
    listener.hear = lambda event: heard.append(event.event_id)  # type: ignore[method-assign]
    async with listener.listening():
        await publish_in(3, redis, xp_of_many(numbers, 9))
        await eventually(lambda: [one.reason for one in listener.gaps] == ["history_gone"])
        events = xp_of_many(numbers, 9)
        await publish_in(3, redis, events)
        await eventually(lambda: {one.event_id for one in events} <= set(heard))
