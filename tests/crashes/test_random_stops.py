"""After SIGTERM at any moment, a worker finishes and acknowledges its batch, then exits. A second one exits at once."""

from __future__ import annotations

import random
import signal

import asyncpg
import pytest

from runtime.settings import Settings
from storage.batches.verify import read_books
from stream.entries.books import read_stream_books
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import Redis
from tests.support.checker import assert_nothing_lost
from tests.support.doomed import Doomed
from tests.support.traffic import append_with_poison, demo_traffic
from tests.support.waiting import eventually

STOPS = 50
EVENTS = 120
SMALL_BATCHES = {"ANALYTICS_BATCH_SIZE": "10", "CLAIM_IDLE_SECONDS": "120"}

_WAITS_FOR_BOOKS = "SELECT count(*) FROM pg_locks WHERE relation = 'batch_books'::regclass AND NOT granted"


@pytest.mark.timeout(300)
async def test_fifty_random_stops_leave_nothing_half_done(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    rng = random.Random("stops")
    events = demo_traffic(STOPS * EVENTS)
    sent = set()
    for start in range(0, len(events), EVENTS):
        sent |= await append_with_poison(redis, events[start : start + EVENTS], every=50)
        total = (await read_stream_books(redis, 0)).appended
        moment = rng.randint(max(1, total - EVENTS), total)
        stopped = await Doomed.start("worker", settings, SMALL_BATCHES)

        async def is_the_moment(moment: int = moment) -> bool:
            return await entries_read(redis) >= moment

        await eventually(is_the_moment)
        assert await stopped.stop() == 0

        assert (await redis.xpending(stream_key(0), STORE_GROUP))["pending"] == 0
        assert (await read_books(database))[0].settled == await entries_read(redis)

    last = await Doomed.start("worker", settings, SMALL_BATCHES)
    await assert_nothing_lost(settings, accepted=sent, sent=sent)
    last.kill()
    await last.end()


async def test_the_second_signal_ends_it_at_once(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    sent = await append_with_poison(redis, demo_traffic(EVENTS), every=50)
    async with database.transaction():
        await database.execute("LOCK TABLE batch_books")
        stuck = await Doomed.start("worker", settings, SMALL_BATCHES)
        await eventually(lambda: database.fetchval(_WAITS_FOR_BOOKS))
        await eventually(stuck.ask)
        assert await stuck.end() == 128 + signal.SIGTERM

    heir = await Doomed.start("worker", settings, SMALL_BATCHES | {"CLAIM_IDLE_SECONDS": "0.001"})
    await assert_nothing_lost(settings, accepted=sent, sent=sent)
    assert await heir.stop() == 0


async def entries_read(redis: Redis) -> int:
    groups = await redis.xinfo_groups(stream_key(0))
    return sum(int(facts["entries-read"] or 0) for facts in groups)
