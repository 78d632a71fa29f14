"""A worker that freezes with an open transaction blocks others only briefly, and does no harm when it resumes."""

from __future__ import annotations

import os
import signal
from functools import partial

import asyncpg
import pytest

from processors.consumer_name import consumer_name
from runtime.failpoints import Failpoint
from runtime.settings import STATEMENT_TIMEOUT, Settings
from storage.batches.verify import read_books
from storage.database.pool import open_pool
from stream.entries.lag import measure
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import Redis
from tests.support.checker import assert_nothing_lost
from tests.support.doomed import Doomed
from tests.support.entries import append_events
from tests.support.fleet import EAGER, running
from tests.support.live import all_published, last_id, once, publishing, timeline
from tests.support.processes import is_stopped
from tests.support.traffic import append_with_poison, demo_traffic
from tests.support.waiting import eventually

EVENTS = 300


@pytest.mark.timeout(120)
@pytest.mark.parametrize("moment", [Failpoint.AFTER_READ, Failpoint.AFTER_COPY, Failpoint.BEFORE_COMMIT])
async def test_its_entries_are_stored_by_others_and_it_writes_nothing_twice(
    settings: Settings, redis: Redis, database: asyncpg.Connection, moment: Failpoint
) -> None:
    sent = await append_with_poison(redis, demo_traffic(EVENTS), every=50)
    frozen = await Doomed.start("worker", settings, EAGER | {"ANALYTICS_FAILPOINT": f"{moment}:stop:2"})
    try:
        await eventually(lambda: is_stopped(frozen.pid))
        assert (await measure(redis, 0)).pending > 0

        async with running(settings, ["worker"]):
            await assert_nothing_lost(settings, accepted=sent, sent=sent)
        settled = (await read_books(database))[0]

        os.kill(frozen.pid, signal.SIGCONT)
        assert await frozen.stop() == 0
    finally:
        frozen.kill()
    assert (await read_books(database))[0] == settled
    await assert_nothing_lost(settings, accepted=sent, sent=sent)


async def test_a_live_worker_that_wakes_up_publishes_nothing_twice(settings: Settings, redis: Redis) -> None:
    events = once(demo_traffic(EVENTS))
    await append_events(redis, events)
    armed = {"ANALYTICS_FAILPOINT": f"{Failpoint.AFTER_READ}:stop:1"}
    frozen = await Doomed.start("live", settings, armed)
    try:
        await eventually(lambda: is_stopped(frozen.pid))
        assert await timeline(redis) == []
        # nothing is remembered of published events, so that only the cursor can prevent a second publication
        async with publishing(settings.model_copy(update={"live_timeline_events": 1})):
            await all_published(redis, len(events))
        published = await last_id(redis)

        os.kill(frozen.pid, signal.SIGCONT)
        assert await frozen.stop() == 0
    finally:
        frozen.kill()
    assert await last_id(redis) == published


async def test_every_connection_gives_up_in_time(settings: Settings) -> None:
    pool = await open_pool(settings.database_dsn, size=1, application_name="tests")
    try:
        limits = {
            name: await pool.fetchval(f"SELECT setting::int FROM pg_settings WHERE name = '{name}'")
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        }
    finally:
        await pool.close()
    # the locks of a worker are released before others claim its entries
    assert 0 < limits["lock_timeout"] < limits["statement_timeout"] == STATEMENT_TIMEOUT.total_seconds() * 1000
    assert 0 < limits["idle_in_transaction_session_timeout"] < settings.claim_idle_seconds * 1000


async def test_a_process_that_starts_again_is_somebody_else(settings: Settings, redis: Redis) -> None:
    """With the same name it would read the entries of its predecessor, which may still be running."""
    assert len({consumer_name() for _ in range(100)}) == 100
    for number in (1, 2):
        async with running(settings, ["worker"]):
            await eventually(partial(has_consumers, redis, number))


async def has_consumers(redis: Redis, number: int) -> bool:
    if not await redis.exists(stream_key(0)):
        return False
    return len(await redis.xinfo_consumers(stream_key(0), STORE_GROUP)) == number
