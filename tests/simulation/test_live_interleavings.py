"""Random interleavings of live workers: each event is published exactly once and in order, whoever reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterator
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from uuid_utils.compat import uuid7

from processors.live.worker import Prepared, prepare
from runtime.settings import Settings
from schemas.catalogue import EventType
from schemas.live import parse_message
from stream.entries import trimmer
from stream.entries.entry import EntryId
from stream.entries.groups import ensure_group
from stream.keys import STORE_GROUP, channel, live_cursor_key, stream_key
from stream.live import publisher
from stream.live.feed import Feed
from stream.live.publisher import CursorMoved, Publisher
from stream.server.connection import Redis, connect
from tests.simulation.search import Search
from tests.support.entries import append_events
from tests.support.events import event

T = TypeVar("T")
WORKERS = 3
KEY = stream_key(0)
END = "end"
"""Channel of a message after all others."""
END_MESSAGE = {"type": "message", "pattern": None, "channel": END.encode(), "data": b""}
# so few that an event which is published twice is hardly ever recognised by its id
REMEMBERED = 1

STEPS = 40
TRIES = 400
"""Interleavings in which a planted fault is found."""

which = st.integers(0, WORKERS - 1)


class Worker:
    """A live worker that makes each step only when the test calls it."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._feed = Feed(redis, 0, name)
        self._publisher = Publisher(redis, 0, name, REMEMBERED, REMEMBERED)
        self.cursor: str | None = None
        self.batches: list[Prepared] = []
        """Read and not published. A worker reads one batch while it publishes another."""

    async def lead(self) -> None:
        self.cursor = await self._feed.lead()
        self.batches.clear()

    async def read(self, at_most: int) -> None:
        assert self.cursor is not None
        if entries := await self._feed.read(self.cursor, at_most, 1):
            self.batches.append(prepare(self.cursor, entries, frozenset()))
            self.cursor = entries[-1].id

    async def publish(self, *, reply_lost: bool) -> None:
        try:
            await self._publisher.publish(self.batches[0].move, self.batches[0].publications)
        except CursorMoved:
            self.cursor = None
            self.batches.clear()
        else:
            if not reply_lost:
                self.batches.pop(0)


class World:
    """A Redis, and what its channels carried."""

    def __init__(self, settings: Settings) -> None:
        self._runner = asyncio.Runner()
        self._names = count()
        self.redis = connect(settings)
        self._channels = self.redis.pubsub()
        self.run(self._channels.subscribe(END, *map(channel, EventType)))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def close(self) -> None:
        self.run(self._channels.aclose())  # type: ignore[no-untyped-call]
        self.run(self.redis.aclose())
        self._runner.close()

    def worker(self) -> Worker:
        return Worker(self.redis, f"worker-{next(self._names)}")

    async def empty(self) -> None:
        await self.redis.flushdb()
        await ensure_group(self.redis, 0, STORE_GROUP)

    async def end_lease(self) -> None:
        await self.redis.hset(live_cursor_key(0), "until", "0")

    async def store_and_trim(self) -> None:
        """Let the store group settle everything, and remove what no reader needs."""
        replies: Any = await self.redis.xreadgroup(STORE_GROUP, "store", {KEY: ">"})
        if replies:
            await self.redis.xack(KEY, STORE_GROUP, *[entry_id for entry_id, _ in replies[0][1]])
        await trimmer.trim(self.redis, 0, timedelta(0), 1)

    async def heard(self) -> list[UUID]:
        await self.redis.publish(END, "")
        found = []
        while (message := await self._channels.get_message(timeout=None)) and message != END_MESSAGE:
            if message["type"] == "message":
                found.append(parse_message(message["data"]).event_id)
        return found


class LiveMachine(RuleBasedStateMachine):
    """Live workers that lead, read, publish, lose replies and crash; leases end; entries are stored and trimmed."""

    world: World
    """Set by the test that runs the machine."""

    @initialize()
    def start(self) -> None:
        self.world.run(self.world.heard())
        self.world.run(self.world.empty())
        self.sent: list[UUID] = []
        self.workers = [self.world.worker() for _ in range(WORKERS)]
        # as soon as live workers have run, a trim waits for them
        self.world.run(self.workers[0].lead())
        self.send(4)
        self.world.run(self.workers[0].read(4))

    @rule(number=st.integers(1, 5))
    def send(self, number: int) -> None:
        events = [event("xp_earned", {"xp_amount": 1})._replace(event_id=uuid7()) for _ in range(number)]
        self.world.run(append_events(self.world.redis, events))
        self.sent += [one.event_id for one in events]

    @rule(number=which)
    def lead(self, number: int) -> None:
        self.world.run(self.workers[number].lead())

    @rule(number=which, at_most=st.integers(1, 4))
    def read(self, number: int, at_most: int) -> None:
        if self.workers[number].cursor is not None:
            self.world.run(self.workers[number].read(at_most))

    @precondition(lambda self: any(worker.batches for worker in self.workers))
    @rule(data=st.data(), reply_lost=st.booleans())
    def publish(self, data: st.DataObject, reply_lost: bool) -> None:
        worker = data.draw(st.sampled_from([worker for worker in self.workers if worker.batches]))
        self.world.run(worker.publish(reply_lost=reply_lost))

    @rule()
    def end_the_lease(self) -> None:
        self.world.run(self.world.end_lease())

    @rule(number=which)
    def crash(self, number: int) -> None:
        self.workers[number] = self.world.worker()

    @rule()
    def store_and_trim(self) -> None:
        self.world.run(self.world.store_and_trim())

    def teardown(self) -> None:
        if not hasattr(self, "sent"):
            return
        self.end_the_lease()
        heir = self.world.worker()
        self.world.run(heir.lead())
        while heir.cursor is not None:
            self.world.run(heir.read(10))
            if not heir.batches:
                break
            self.world.run(heir.publish(reply_lost=False))
        assert self.world.run(self.world.heard()) == self.sent


@pytest.fixture
def search(settings: Settings, redis: Redis) -> Iterator[Search]:
    world = World(settings)
    yield Search(LiveMachine, world, STEPS)
    world.close()


@pytest.mark.timeout(0)
def test_any_interleaving_publishes_each_event_once_and_in_order(
    search: Search, request: pytest.FixtureRequest
) -> None:
    search.run(request.config.getoption("simulation_examples"))


@pytest.mark.timeout(300)
def test_publishing_from_anywhere_is_noticed(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = "position[1] ~= ARGV[1] or "
    assert publisher._SCRIPT.count(guarded) == 1
    monkeypatch.setattr(publisher, "_SCRIPT", publisher._SCRIPT.replace(guarded, ""))
    search.assert_noticed(TRIES)


@pytest.mark.timeout(300)
def test_trimming_what_was_not_published_is_noticed(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_is_needed(_redis: Redis, _partition: int, _ignored: Collection[str]) -> EntryId:
        return EntryId(2**60, 0)

    monkeypatch.setattr(trimmer, "lowest_needed", nothing_is_needed)
    search.assert_noticed(TRIES)
