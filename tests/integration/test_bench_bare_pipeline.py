"""The bare way does what its description says, so that its processor time is a floor."""

from __future__ import annotations

from typing import Any

import asyncpg

from bench.bare_pipeline import CHANNEL, GROUP, STREAM, make_rows, prepare, process
from stream.server.connection import Redis

EVENTS = 1_250


async def test_every_row_is_appended_published_stored_and_acknowledged(
    redis: Redis, database: asyncpg.Connection
) -> None:
    rows = make_rows(EVENTS)
    ids = {row.split(b"\t")[0].decode() for row in rows}
    calls = await _publish_calls(redis)

    await prepare(redis, database)
    await process(redis, database, rows)

    entries: Any = await redis.xrange(STREAM)
    assert [fields for _, fields in entries] == [{b"e": row} for row in rows]
    assert (await redis.xpending(STREAM, GROUP))["pending"] == 0
    assert (await redis.xinfo_groups(STREAM))[0]["entries-read"] == EVENTS
    assert await _publish_calls(redis) - calls == EVENTS
    stored = await database.fetch("SELECT event_id::text, entry_id, properties FROM analytics_events")
    assert {row["event_id"] for row in stored} == ids
    assert {row["entry_id"] for row in stored} <= {entry_id.decode() for entry_id, _ in entries}
    assert len(stored) == len(ids) < EVENTS


async def test_what_is_published_is_the_row(redis: Redis, database: asyncpg.Connection) -> None:
    rows = make_rows(3)
    await prepare(redis, database)
    async with redis.pubsub(ignore_subscribe_messages=True) as subscriber:
        await subscriber.subscribe(CHANNEL)
        await subscriber.get_message(timeout=None)

        await process(redis, database, rows)

        messages = [await subscriber.get_message(timeout=None) for _ in rows]
    assert [message["data"] for message in messages if message is not None] == rows


async def _publish_calls(redis: Redis) -> int:
    calls: int = (await redis.info("commandstats")).get("cmdstat_publish", {"calls": 0})["calls"]
    return calls
