"""Each event is published exactly once to its channel, its history and the timeline, also after failures."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from processors.maintenance.chores import stream_chores
from processors.maintenance.lag_measurement import groups_of
from processors.maintenance.live_chores import skip_if_late
from runtime.clock import utc_now
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.catalogue import EventType
from schemas.live import LiveEvent, parse_message
from storage.database.pool import open_pool
from stream.diagnosis import diagnose, partition
from stream.entries.consumer import Consumer
from stream.entries.lag import measure
from stream.entries.trimmer import trim
from stream.keys import LIVE_EVENTS, LIVE_GROUP, STORE_GROUP, TIMELINE, channel, live_keys, stream_key
from stream.live.feed import Feed
from stream.live.live_history import prune
from stream.live.live_skip import skip_to_the_end
from stream.live.publisher import CursorMoved, Publisher
from stream.live.timeline import HistoryGone
from stream.registry.tombstones import publish_tombstones
from stream.server.connection import Redis
from telemetry import leader_facts, metrics
from tests.support.entries import append_entry, append_events
from tests.support.events import event, learner
from tests.support.live import (
    all_published,
    history,
    last_id,
    live_worker_began,
    messages_after,
    moves,
    once,
    publications,
    publishing,
    timeline,
)
from tests.support.poison import CANARY, copy_poison, fuzzed, shape_poison
from tests.support.traffic import demo_traffic
from tests.support.waiting import eventually


def xp(numbers: Sequence[int], **changes: Any) -> list[AcceptedEvent]:
    return [event("xp_earned", {"xp_amount": number}, number=number, **changes) for number in numbers]


async def test_each_event_is_in_its_channel_its_history_and_the_timeline(settings: Settings, redis: Redis) -> None:
    traffic = once(demo_traffic(300))
    heard: list[tuple[str, LiveEvent]] = []
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(*map(channel, EventType))
        await append_events(redis, traffic)
        async with publishing(settings):
            await all_published(redis, len(traffic))
        while len(heard) < len(traffic):
            message = await pubsub.get_message(timeout=None)
            if message is not None and message["type"] == "message":
                heard.append((message["channel"].decode(), parse_message(message["data"])))

    kept = await timeline(redis)
    assert [one.event_id for one in kept] == [one.event_id for one in traffic]
    assert heard == [(channel(one.event_type), one) for one in kept]
    for event_type in EventType:
        assert await history(redis, event_type) == [one for one in kept if one.event_type == event_type]
    assert len({one.id for one in kept}) == len(traffic)
    assert await messages_after(redis, int(kept[-1].id), 10) == []


async def test_an_event_that_was_sent_twice_is_published_once(settings: Settings, redis: Redis) -> None:
    events = xp(range(5))
    async with publishing(settings.model_copy(update={"live_timeline_events": 20})):
        await append_events(redis, [*events, *events])
        await all_published(redis, 10)
        assert [one.event_id for one in await timeline(redis)] == [one.event_id for one in events]
        # an event older than the remembered ones is published again
        await append_events(redis, xp(range(5, 25)))
        await all_published(redis, 30)
        await append_events(redis, events[:1])
        await all_published(redis, 31)
    assert [one.event_id for one in await timeline(redis)][-1] == events[0].event_id


async def test_three_workers_of_one_partition_publish_each_event_once(settings: Settings, redis: Redis) -> None:
    traffic = once(demo_traffic(900))
    before = metrics.CONSUMED_EVENTS.labels("live", "published")._value.get()
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(publishing(settings))
        for at in range(0, len(traffic), 100):
            await append_events(redis, traffic[at : at + 100])
        await all_published(redis, len(traffic))
    assert sorted(one.event_id for one in await timeline(redis)) == sorted(one.event_id for one in traffic)
    assert metrics.CONSUMED_EVENTS.labels("live", "published")._value.get() - before == len(traffic)


async def test_every_partition_has_its_own_keys(settings: Settings, redis: Redis) -> None:
    events = [event("xp_earned", {"xp_amount": 1}, number=number, user_hash=learner(number)) for number in range(40)]
    await append_events(redis, events, 3)
    async with publishing(settings.model_copy(update={"stream_partitions": 3})):
        await eventually(lambda: is_published(redis, 40, 3))
    found = []
    for number in range(3):
        keys = live_keys(number, 3)
        names = (keys.timeline, keys.state, keys.history("xp_earned"), stream_key(number))
        assert {name.partition("{")[2].partition("}")[0] for name in names} == {str(number)}
        messages: Any = await redis.zrange(keys.timeline, 0, -1)
        assert messages == (await redis.lrange(keys.history("xp_earned"), 0, -1))[::-1]
        found += [parse_message(message).event_id for message in messages]
    assert sorted(found) == sorted(one.event_id for one in events)
    assert not await redis.exists(TIMELINE)


async def test_messages_of_all_partitions_are_pruned_also_those_of_when_there_was_one(
    settings: Settings, redis: Redis
) -> None:
    events = [event("xp_earned", {"xp_amount": 1}, number=number, user_hash=learner(number)) for number in range(40)]
    await append_events(redis, events[:10])
    async with publishing(settings):
        await all_published(redis, 10)
    await append_events(redis, events[10:], 3)
    async with publishing(settings.model_copy(update={"stream_partitions": 3})):
        await eventually(lambda: is_published(redis, 30, 3))
    await eventually(lambda: is_pruned(redis, 3))


async def is_pruned(redis: Redis, partitions: int) -> bool:
    await prune(redis, timedelta(0), partitions)
    left = [await redis.keys(pattern) for pattern in ("analytics:timeline*", "analytics:history:*", "*:events")]
    return not any(left)


async def is_published(redis: Redis, count: int, partitions: int = 1) -> bool:
    timelines = [live_keys(number, partitions).timeline for number in range(partitions)]
    return sum([await redis.zcard(timeline) for timeline in timelines]) == count


async def test_history_and_timeline_keep_the_newest_up_to_their_caps(settings: Settings, redis: Redis) -> None:
    events = xp(range(50))
    async with publishing(settings.model_copy(update={"live_history_events": 7, "live_timeline_events": 20})):
        await append_events(redis, events[:10])
        await all_published(redis, 10)
        soon_gone = int((await timeline(redis))[0].id)
        assert len(await messages_after(redis, soon_gone, 100)) == 9
        await append_events(redis, events[10:])
        await all_published(redis, 50)
    kept = await timeline(redis)
    assert [one.event_id for one in kept] == [one.event_id for one in events[-20:]]
    assert await history(redis, "xp_earned") == kept[-7:]
    with pytest.raises(HistoryGone):
        await messages_after(redis, soon_gone, 100)
    page = await messages_after(redis, int(kept[0].id), 100)
    assert [one.id for one in page] == [int(one.id) for one in kept[1:]]


async def test_what_is_older_than_the_retention_leaves_both(settings: Settings, redis: Redis) -> None:
    await append_events(redis, xp(range(4)))
    async with publishing(settings):
        await all_published(redis, 4)
    before = await last_id(redis)

    assert await prune(redis, timedelta(days=7)) == 0
    await eventually(lambda: prune(redis, timedelta(0)))

    assert await timeline(redis) == []
    assert await history(redis, "xp_earned") == []
    assert await redis.zcard(LIVE_EVENTS) == 0
    assert await messages_after(redis, before, 10) == []
    with pytest.raises(HistoryGone):
        await messages_after(redis, before - 1, 10)


async def test_ids_grow_and_an_emptied_redis_is_noticed(settings: Settings, redis: Redis) -> None:
    await append_events(redis, xp(range(3)))
    async with publishing(settings):
        await all_published(redis, 3)
        before = await last_id(redis)
        await redis.flushdb()
        await append_events(redis, xp(range(3, 6)))
        await eventually(lambda: is_published(redis, 3))
    assert all(int(one.id) > before for one in await timeline(redis))
    with pytest.raises(HistoryGone):
        await messages_after(redis, before, 10)


async def test_an_entry_that_is_no_event_is_left_to_the_store_workers(settings: Settings, redis: Redis) -> None:
    await append_entry(redis, {b"event_type": b"xp_earned", b"text": b"anna@example.org"})
    await append_events(redis, xp([1]))
    async with publishing(settings):
        await all_published(redis, 2)
    assert len(await timeline(redis)) == 1


async def test_poison_is_not_published_and_hurts_no_neighbour(settings: Settings, redis: Redis) -> None:
    poison = [each.fields for each in (*copy_poison(1_000).values(), *shape_poison(2_000).values())]
    poison += [fuzzed(random.Random(seed), 3_000 + seed) for seed in range(200)]
    good = xp(range(len(poison)))
    for one, bad in zip(good, poison, strict=True):
        await append_entry(redis, bad)
        await append_events(redis, [one])
    async with publishing(settings):
        await all_published(redis, 2 * len(good))
    messages: Any = await redis.zrange(TIMELINE, 0, -1)
    assert {one.event_id for one in good} <= {parse_message(message).event_id for message in messages}
    assert all(json.loads(message)["properties"] is not None and b"\n" not in message for message in messages)
    assert CANARY.encode() not in b"".join(messages)


async def test_who_is_erased_is_not_published(settings: Settings, redis: Redis) -> None:
    await publish_tombstones(redis, [learner(5)])
    await append_events(redis, [*xp([1], user_hash=learner(5)), *xp([2])])
    async with publishing(settings):
        await all_published(redis, 2)
    assert [one.user_hash for one in await timeline(redis)] == [learner(0).hex()]


async def test_workers_that_are_too_late_go_on_at_the_end(settings: Settings, redis: Redis) -> None:
    await append_events(redis, xp(range(10)))
    [in_hand] = await moves(Feed(redis, 0, "late"), 4)
    position = await last_id(redis)

    assert await skip_if_late(redis, 0, 3600) == 0
    assert await skip_if_late(redis, 0, 0) == 10

    lag = await measure(redis, 0, LIVE_GROUP)
    assert (lag.undelivered, lag.pending) == (0, 0)
    await append_events(redis, xp([11]))
    assert (await measure(redis, 0, LIVE_GROUP)).undelivered == 1
    with pytest.raises(HistoryGone):
        await messages_after(redis, position, 10)
    with pytest.raises(CursorMoved):
        await Publisher(redis, 0, "late", 100, 100).publish(in_hand, publications(xp(range(4))))
    now = await last_id(redis)
    await append_events(redis, xp([10]))
    async with publishing(settings):
        await all_published(redis, 12)
    assert len(await messages_after(redis, now, 10)) == 2


async def test_without_live_workers_nothing_is_late_and_nothing_is_kept_for_them(redis: Redis) -> None:
    await append_events(redis, xp(range(10)))
    store = Consumer(redis, 0, STORE_GROUP, "reader", claim_idle_seconds=120)
    await store.join()
    await store.acknowledge([entry.id for entry in await store.read(10, 1)])

    assert await skip_if_late(redis, 0, 0) == 0
    assert (await trim(redis, 0, timedelta(0), 1)).removed == 10


async def test_a_cursor_that_stands_still_keeps_its_entries_until_it_is_skipped(redis: Redis) -> None:
    await append_events(redis, xp(range(10)))
    store = Consumer(redis, 0, STORE_GROUP, "reader", claim_idle_seconds=120)
    await store.join()
    await store.acknowledge([entry.id for entry in await store.read(10, 1)])
    [move] = await moves(Feed(redis, 0, "stalled"), 2)
    await Publisher(redis, 0, "stalled", 100, 100).publish(move, publications(xp(range(2))))

    assert (await trim(redis, 0, timedelta(0), 1)).removed == 2
    assert (await trim(redis, 0, timedelta(0), 1)).removed == 0
    assert await skip_to_the_end(redis, 0) == 8
    assert (await trim(redis, 0, timedelta(0), 1)).removed == 8


async def test_a_worker_goes_on_when_redis_is_back(settings: Settings, redis: Redis) -> None:
    async with publishing(settings):
        await append_events(redis, xp(range(5)))
        await all_published(redis, 5)
        await redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
        await append_events(redis, xp(range(5, 10)))
        await all_published(redis, 10)
    assert len(await timeline(redis)) == 10


async def test_maintenance_measures_live_workers_too(settings: Settings, redis: Redis, database_url: str) -> None:
    await append_events(redis, xp(range(3)))
    feed = Feed(redis, 0, "leader")
    [move] = await moves(feed, 2)
    pool = await open_pool(database_url, size=1, application_name="tests")
    duties = {chore.name: chore.run for chore in stream_chores(settings, redis, pool)}
    labels = (stream_key(0), LIVE_GROUP)

    async def measured() -> tuple[float, float, float, float]:
        await duties["measure_lag"]()
        gauges = (
            leader_facts.LAG_ENTRIES,
            leader_facts.PENDING_ENTRIES,
            leader_facts.GROUP_CONSUMERS,
            leader_facts.LAG_KNOWN,
        )
        entries, pending, consumers, known = (gauge.facts[labels].value for gauge in gauges)
        return entries, pending, consumers, known

    assert await measured() == (3, 0, 1, 1)
    assert leader_facts.LAG_SECONDS.facts[labels].value > 0
    await Publisher(redis, 0, "leader", 100, 100).publish(move, publications(xp(range(2))))
    assert await measured() == (1, 0, 1, 1)
    await feed.resign()
    assert await measured() == (1, 0, 0, 1)
    assert await groups_of(redis, [0]) == [(0, STORE_GROUP), (0, LIVE_GROUP)]
    await pool.close()


async def test_doctor_reports_the_lag_of_live_events(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found() -> tuple[str, str]:
        [one] = [one for one in await diagnose(redis, 1, utc_now(), 120, "server") if one.name == "stream.0.live"]
        return one.status, one.detail

    monkeypatch.setattr(partition, "_LATE_SECONDS", 0.0)
    await append_events(redis, xp(range(3)))
    assert await found() == ("ok", "no live worker has run")
    await live_worker_began(redis)
    assert (await found())[0] == "warn"
    monkeypatch.setattr(partition, "_LATE_SECONDS", 60.0)
    assert (await found())[0] == "ok"
