"""Floor for the latency of an event: one client at a time, with servers that are otherwise idle."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import asyncpg
import uvloop

from bench.backlog import PSEUDONYM_KEYS, backlog, typed
from runtime.settings import Settings
from schemas.entry import ROW, pack
from stream.server.connection import connect

ROUNDS: Final = 200
_STREAM: Final = "bench:bare"
_CHANNEL: Final = "bench:bare:live"
_ROWS: Final = 40
"""Rows of one COPY: the events of 20 ms at 2,000 events/s."""

_TABLE: Final = """
DROP TABLE IF EXISTS bench_bare;
CREATE TABLE bench_bare (LIKE analytics_events INCLUDING ALL);
"""


def ways(redis_url: str, database_url: str) -> tuple[list[float], list[float]]:
    """Return the sorted durations of appending and storing, and of appending and publishing, in seconds."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_ways(redis_url, database_url))


async def _ways(redis_url: str, database_url: str) -> tuple[list[float], list[float]]:
    redis = connect(Settings.model_validate({"redis_url": redis_url}))
    database = await asyncpg.connect(database_url)
    await database.execute(_TABLE)
    # more than needed, because some are repeated
    made = backlog(2 * ROUNDS * _ROWS, Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS}))
    events = list({event.event_id: event for event in made}.values())
    rows = [(*typed(event), 0, "0-0") for event in events]
    entries = [pack(event).encode() for event in events[:ROUNDS]]
    stored, published = [], []
    async with redis.pubsub(ignore_subscribe_messages=True) as subscriber:
        await subscriber.subscribe(_CHANNEL)
        await subscriber.get_message(timeout=1)
        for number in range(ROUNDS):
            started = time.perf_counter()
            await redis.xadd(_STREAM, {ROW: entries[number]})
            appended = time.perf_counter()
            await database.copy_records_to_table("bench_bare", records=rows[number * _ROWS : (number + 1) * _ROWS])
            stored.append(time.perf_counter() - started)
            published_from = time.perf_counter()
            await redis.publish(_CHANNEL, entries[number])
            while await subscriber.get_message(timeout=1) is None:
                pass
            published.append(appended - started + time.perf_counter() - published_from)
    await database.execute("DROP TABLE bench_bare")
    await redis.unlink(_STREAM)
    await database.close()
    await redis.aclose()
    return sorted(stored), sorted(published)
