"""The search of the streams for entries of the erased: once for all, and continued where it was interrupted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import partial

import asyncpg
import pytest

from processors.maintenance import stream_sweep
from processors.maintenance.erasure import carry_out
from runtime.errors import StreamUnavailable
from runtime.settings import Settings
from schemas.entry import encode, user_hash_of
from storage.database.pool import Pool
from storage.privacy.erasure import read_job, request_erasure
from stream.entries import learner_entries
from stream.entries.entry import BEGINNING
from stream.entries.learner_entries import Page
from stream.live.live_skip import skip_to_the_end
from stream.server.connection import Redis
from tests.support.checker import assert_nothing_lost
from tests.support.entries import append_entry, append_events, as_read_before, stream_entries
from tests.support.events import event, learner
from tests.support.live import live_worker_began
from tests.support.working import working

EVENTS, LEARNERS, PAGE_SIZE = 200, 5, 10
WHOLE_STREAM = EVENTS // PAGE_SIZE + 1


@pytest.fixture(autouse=True)
async def _stored(settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store events of a few learners, half of them in the form of the release before; read in small pages and legs."""
    events = [
        event("xp_earned", {"xp_amount": 1}, number=number, user_hash=learner(number % LEARNERS))
        for number in range(EVENTS)
    ]
    sent = {one.event_id for one in events}
    await append_events(redis, events[::2])
    for one in events[1::2]:
        await append_entry(redis, as_read_before(encode(one)))
    async with working(settings):
        await assert_nothing_lost(settings, sent, sent)
    monkeypatch.setattr(learner_entries, "_PAGE", PAGE_SIZE)
    monkeypatch.setattr(stream_sweep, "PAGES", 4)


class Reading:
    """The pages of the stream that erasures read."""

    def __init__(self) -> None:
        self.after: list[str] = []
        """The id before each page."""
        self.hooks: dict[int, Callable[[], Awaitable[object]]] = {}
        """What happens before a page is read, by its number."""

    async def search_page(self, redis: Redis, partition: int, wanted: Collection[bytes], after: str) -> Page:
        if hook := self.hooks.pop(len(self.after), None):
            await hook()
        self.after.append(after)
        return await learner_entries.search_page(redis, partition, wanted, after)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    reading = Reading()
    monkeypatch.setattr(stream_sweep, "search_page", reading.search_page)
    return reading


async def left(redis: Redis) -> dict[bytes, int]:
    found = [user_hash_of(fields) for _, fields in await stream_entries(redis)]
    return {bytes.fromhex(one.decode()): found.count(one) for one in set(found)}


async def test_one_pass_serves_all_open_erasures(redis: Redis, pool: Pool, reading: Reading) -> None:
    for number in (1, 2, 3):
        await request_erasure(pool, [learner(number)], "tests")
    assert await carry_out(redis, pool, [0]) == 3
    assert len(reading.after) == WHOLE_STREAM
    assert await left(redis) == {learner(0): EVENTS // LEARNERS, learner(4): EVENTS // LEARNERS}
    assert await pool.fetchval("SELECT count(*) FROM erasure_sweeps") == 0


async def test_a_search_that_was_interrupted_continues_where_it_ended(
    redis: Redis, pool: Pool, reading: Reading
) -> None:
    job = await request_erasure(pool, [learner(1)], "tests")

    async def fail() -> None:
        raise StreamUnavailable("connection", "away")

    # in the third leg
    reading.hooks[10] = fail
    with pytest.raises(StreamUnavailable):
        await carry_out(redis, pool, [0])
    assert await carry_out(redis, pool, [0]) == 1
    # the two pages of the leg that failed are read twice
    assert len(reading.after) == WHOLE_STREAM + 2
    assert learner(1) not in await left(redis)
    finished = await read_job(pool, job.job_id)
    assert finished is not None
    assert finished.removed["stream"] == EVENTS // LEARNERS


async def test_an_erasure_requested_meanwhile_begins_at_once_and_is_served_by_the_next_pass(
    redis: Redis, pool: Pool, reading: Reading
) -> None:
    await request_erasure(pool, [learner(1)], "tests")
    reading.hooks[9] = partial(request_erasure, pool, [learner(2)], "tests")
    assert await carry_out(redis, pool, [0]) == 2
    assert {learner(1), learner(2)} & (await left(redis)).keys() == set()
    # the pass of the second one begins with the leg after its request
    assert [number for number, after in enumerate(reading.after) if after == BEGINNING] == [0, 12]


async def test_entries_that_wait_for_a_reader_are_not_searched_for_again(
    redis: Redis, pool: Pool, reading: Reading, database: asyncpg.Connection
) -> None:
    await live_worker_began(redis)
    await request_erasure(pool, [learner(1)], "tests")
    for _ in range(3):
        assert await carry_out(redis, pool, [0]) == 0
    assert len(reading.after) == WHOLE_STREAM + 2
    assert await database.fetchval("SELECT cardinality(waiting) FROM erasure_sweeps") == EVENTS // LEARNERS

    await skip_to_the_end(redis, 0)
    assert await carry_out(redis, pool, [0]) == 1
    assert learner(1) not in await left(redis)


async def test_an_erasure_ends_when_redis_was_emptied(redis: Redis, pool: Pool) -> None:
    await live_worker_began(redis)
    await request_erasure(pool, [learner(1)], "tests")
    assert await carry_out(redis, pool, [0]) == 0
    await redis.flushdb()
    assert await carry_out(redis, pool, [0]) == 1
