"""The cursor decides what is published: once, whoever reads it, and however Redis answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from processors.live import worker
from processors.live.worker import Erased, LiveWorker
from processors.maintenance.live_chores import skip_if_late
from runtime.errors import StreamUnavailable
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from stream.entries.cursor import read_cursor
from stream.entries.entry import Entry, EntryId
from stream.entries.lag import measure
from stream.entries.readers import list_readers
from stream.keys import LIVE_GROUP, LIVE_STATE, live_cursor_key, stream_key
from stream.live.feed import Feed
from stream.live.publisher import CursorMoved, Move, Publication, Published, Publisher
from stream.server.connection import Redis
from telemetry import metrics
from tests.support.entries import append_events
from tests.support.events import event
from tests.support.live import all_published, history, moves, publications, publishing, timeline
from tests.support.waiting import eventually

KEY = stream_key(0)


def xp(numbers: Sequence[int]) -> list[AcceptedEvent]:
    return [event("xp_earned", {"xp_amount": number}, number=number) for number in numbers]


def publisher(redis: Redis, name: str = "reader") -> Publisher:
    return Publisher(redis, 0, name, 100, 100)


async def published(redis: Redis) -> list[object]:
    return [one.event_id for one in await timeline(redis)]


def ids(events: Sequence[AcceptedEvent]) -> list[object]:
    return [one.event_id for one in events]


async def test_what_was_read_elsewhere_than_after_the_cursor_is_not_published(redis: Redis) -> None:
    events = xp(range(4))
    await append_events(redis, events)
    feed = Feed(redis, 0, "reader")
    [first, second] = await moves(feed, 2, 2)
    [all_four] = await moves(feed, 4)

    with pytest.raises(CursorMoved):
        await publisher(redis).publish(second, publications(events[2:]))
    assert await publisher(redis).publish(first, publications(events[:2])) == Published(2, 0)
    for move, those in ((first, events[:2]), (all_four, events)):
        with pytest.raises(CursorMoved):
            await publisher(redis).publish(move, publications(those))
    assert await publisher(redis).publish(second, publications(events[2:])) == Published(2, 0)
    assert await published(redis) == ids(events)
    assert len(await history(redis, "xp_earned")) == 4


async def test_one_worker_leads_until_it_resigns_or_its_lease_ends(redis: Redis) -> None:
    await append_events(redis, xp(range(2)))
    one, other = Feed(redis, 0, "one"), Feed(redis, 0, "other")
    assert await one.lead() == "0-0"
    assert await other.lead() is None
    assert await one.lead() == "0-0", "it leads on"
    await other.resign()
    assert await other.lead() is None, "only the leader can end its lead"

    await one.resign()
    assert await other.lead() == "0-0"
    assert await one.lead() is None
    # the other one is gone without a word
    await eventually(one.lead)

    [first, second] = await moves(one, 1, 1)
    await publisher(redis, "other").publish(first, publications(xp([0])))
    assert await one.lead() is None, "whoever publishes leads"
    await publisher(redis, "one").publish(second, publications(xp([1])))
    assert await one.lead() == second.to


async def test_a_lease_of_a_clock_that_was_ahead_does_not_last(redis: Redis) -> None:
    await Feed(redis, 0, "one").lead()
    await redis.hset(live_cursor_key(0), "until", str(2**52))
    assert await Feed(redis, 0, "other").lead() == "0-0"


class Watched(Feed):
    """A feed that counts its reads, and stops its worker after some attempts to lead."""

    reads = 0
    attempts = 0

    def __init__(self, redis: Redis, name: str, stop: asyncio.Event) -> None:
        super().__init__(redis, 0, name)
        self._stop = stop

    async def lead(self) -> str | None:
        self.attempts += 1
        if self.attempts == 3:
            self._stop.set()
        return await super().lead()

    async def read(self, after: str, count: int, block_ms: int) -> list[Entry]:
        self.reads += 1
        return await super().read(after, count, block_ms)


async def test_a_standby_reads_nothing(redis: Redis) -> None:
    await append_events(redis, xp(range(3)))
    await Feed(redis, 0, "leader").lead()
    stop = asyncio.Event()
    source = Watched(redis, "standby", stop)
    await LiveWorker(source, publisher(redis, "standby"), Erased()).run(stop)
    assert source.reads == 0
    assert await published(redis) == []


async def test_a_worker_that_stops_leaves_the_lead_to_the_next_one(settings: Settings, redis: Redis) -> None:
    await append_events(redis, xp(range(3)))
    async with publishing(settings):
        await all_published(redis, 3)
    cursor = await read_cursor(redis, 0)
    assert cursor is not None
    assert (cursor.leader, cursor.read) == (None, 3)
    assert await Feed(redis, 0, "next").lead() == str(cursor.id)


class Deaf(Publisher):
    """A publisher whose first call takes effect, and whose reply is lost."""

    lost = 0

    async def publish(self, move: Move, those: Sequence[Publication]) -> Published:
        done = await super().publish(move, those)
        if not self.lost:
            self.lost = done.published
            raise StreamUnavailable("timeout")
        return done


async def test_a_call_whose_reply_was_lost_had_its_effect_once(redis: Redis) -> None:
    before = metrics.CONSUMED_EVENTS.labels("live", "redelivered")._value.get()
    await append_events(redis, xp(range(5)))
    outlet, stop = Deaf(redis, 0, "one", 100, 100), asyncio.Event()
    working = asyncio.create_task(LiveWorker(Feed(redis, 0, "one"), outlet, Erased()).run(stop))
    await all_published(redis, 5)
    await append_events(redis, xp(range(5, 8)))
    await all_published(redis, 8)
    stop.set()
    await working
    assert outlet.lost == 5
    assert await published(redis) == ids(xp(range(8)))
    assert metrics.CONSUMED_EVENTS.labels("live", "redelivered")._value.get() - before == 5


async def test_a_copy_of_the_stream_without_the_entries_is_not_published_from(redis: Redis) -> None:
    await append_events(redis, xp(range(3)))
    [move] = await moves(Feed(redis, 0, "reader"), 3)
    await redis.xdel(KEY, move.to)
    with pytest.raises(CursorMoved):
        await publisher(redis).publish(move, publications(xp(range(3))))
    [shorter] = await moves(Feed(redis, 0, "reader"), 3)
    assert shorter.entries == 2


async def test_a_cursor_past_the_end_goes_back_to_the_end(redis: Redis) -> None:
    recreated = metrics.STREAM_RECREATED._value.get()
    await append_events(redis, xp(range(3)))
    feed = Feed(redis, 0, "reader")
    [move] = await moves(feed, 3)
    await publisher(redis).publish(move, publications(xp(range(3))))
    await redis.delete(KEY)
    await redis.xadd(KEY, {"a": "b"}, id="5-1")

    assert await feed.lead() == "5-1"
    assert metrics.STREAM_RECREATED._value.get() == recreated + 1
    assert (await measure(redis, 0, LIVE_GROUP)).undelivered == 0
    await append_events(redis, xp([7]))
    assert (await measure(redis, 0, LIVE_GROUP)).undelivered == 1


async def test_the_number_of_waiting_entries_is_exact_again_when_the_workers_have_caught_up(redis: Redis) -> None:
    await append_events(redis, xp(range(6)))
    feed = Feed(redis, 0, "reader")
    await feed.lead()
    await redis.xtrim(KEY, maxlen=2, approximate=False)
    assert (await measure(redis, 0, LIVE_GROUP)).undelivered == 6, "nobody told the cursor"
    [move] = await moves(feed, 2)
    await publisher(redis).publish(move, publications(xp(range(4, 6))))
    assert (await measure(redis, 0, LIVE_GROUP)).undelivered == 0
    await feed.lead()
    await append_events(redis, xp([7]))
    assert (await measure(redis, 0, LIVE_GROUP)).undelivered == 1


# The release before read as a consumer group.


async def as_before(redis: Redis, count: int) -> list[str]:
    """Read entries as a live worker of the release before; return their ids."""
    if not any(group["name"] == LIVE_GROUP.encode() for group in await redis.xinfo_groups(KEY)):
        await redis.xgroup_create(KEY, LIVE_GROUP, id="0")
    replies: Any = await redis.xreadgroup(LIVE_GROUP, "old", {KEY: ">"}, count=count)
    return [entry_id.decode() for entry_id, _ in replies[0][1]]


async def test_workers_go_on_where_those_of_the_release_before_stopped(settings: Settings, redis: Redis) -> None:
    await append_events(redis, xp(range(5)))
    await redis.xack(KEY, LIVE_GROUP, *await as_before(redis, 3))
    assert (await measure(redis, 0, LIVE_GROUP)).undelivered == 2
    async with publishing(settings):
        await all_published(redis, 5)
    assert await published(redis) == ids(xp(range(3, 5)))


async def test_entries_in_hand_of_the_release_before_are_published(settings: Settings, redis: Redis) -> None:
    await append_events(redis, xp(range(5)))
    [first, second, *_] = await as_before(redis, 4)
    await redis.xack(KEY, LIVE_GROUP, first)
    feed = Feed(redis, 0, "reader")
    at = await feed.lead()
    assert at is not None
    assert [one.id for one in await feed.read(at, 1, 1)] == [second]
    assert (await measure(redis, 0, LIVE_GROUP)).undelivered == 4
    await feed.resign()
    async with publishing(settings):
        await all_published(redis, 5)
    assert await published(redis) == ids(xp(range(1, 5)))


async def test_the_group_of_the_release_before_is_no_reader_any_more(redis: Redis) -> None:
    await append_events(redis, xp(range(3)))
    await as_before(redis, 1)
    assert [(one.raw_name, one.pending) for one in await list_readers(redis, 0)] == [(b"live", 1)]
    [move] = await moves(Feed(redis, 0, "reader"), 3)
    await publisher(redis).publish(move, publications(xp(range(3))))
    [live] = await list_readers(redis, 0)
    assert (live.raw_name, live.pending, live.last_delivered) == (b"live", 0, EntryId.parse(move.to))


async def test_a_group_of_the_release_before_without_workers_is_skipped_too(redis: Redis) -> None:
    await append_events(redis, xp(range(5)))
    await as_before(redis, 2)
    assert await skip_if_late(redis, 0, 0) == 5
    assert (await measure(redis, 0, LIVE_GROUP)).undelivered == 0
    assert await skip_if_late(redis, 0, 0) == 0


async def test_the_number_of_partitions_is_recorded_again_after_redis_lost_it(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RECORD_PARTITIONS_EVERY", timedelta(milliseconds=10))
    stop = asyncio.Event()
    recording = asyncio.create_task(worker.keep_partitions_recorded(redis, 3, stop))

    async def is_recorded() -> bool:
        return bool(await redis.hget(LIVE_STATE, "partitions") == b"3")

    await eventually(is_recorded)
    await redis.flushdb()
    await eventually(is_recorded)
    stop.set()
    await recording
