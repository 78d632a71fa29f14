"""Live messages as Redis stores them, and a live worker in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from processors.live import worker as live
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.entry import encode
from schemas.live import LiveEvent, message_tail, parse_message
from stream.entries.lag import measure
from stream.keys import LIVE_GROUP, TIMELINE, history_key
from stream.live.feed import Feed
from stream.live.publisher import Move, Publication
from stream.live.timeline import TimelineMessage, last_message_ids, read_timelines
from stream.server.connection import Redis
from tests.support.loops import looping
from tests.support.waiting import eventually


@asynccontextmanager
async def publishing(settings: Settings) -> AsyncIterator[None]:
    """Run a live worker for the block."""
    async with looping(live.run, settings):
        yield


async def live_worker_began(redis: Redis, partition: int = 0) -> None:
    """Let a live worker begin that publishes nothing, and leaves."""
    feed = Feed(redis, partition, "slow")
    await feed.lead()
    await feed.resign()


async def moves(feed: Feed, *counts: int) -> list[Move]:
    """Let a feed lead; return moves of the cursor from its place, past as many entries each."""
    at = await feed.lead()
    found = []
    for count in counts:
        assert at is not None
        entries = await feed.read(at, count, 1)
        found.append(Move(at, entries[-1].id, len(entries)))
        at = entries[-1].id
    return found


def publications(events: Sequence[AcceptedEvent]) -> list[Publication]:
    """Return what a live worker publishes of these events."""
    return [Publication(one.event_type, one.event_id.bytes, message_tail(encode(one))) for one in events]


def once(events: Sequence[AcceptedEvent]) -> list[AcceptedEvent]:
    """Return the events without repeats."""
    return list({one.event_id: one for one in reversed(events)}.values())[::-1]


async def all_published(redis: Redis, appended: int, partition: int = 0) -> None:
    """Wait until live workers have published or passed over `appended` entries."""

    async def is_done() -> bool:
        lag = await measure(redis, partition, LIVE_GROUP)
        return lag.appended >= appended and lag.undelivered == 0 and lag.pending == 0

    await eventually(is_done)


async def last_id(redis: Redis) -> int:
    """Return the id of the newest message of a system with one partition."""
    [last] = await last_message_ids(redis, 1)
    return last


async def messages_after(redis: Redis, after: int, count: int) -> list[TimelineMessage]:
    """Return messages of a system with one partition. Raises HistoryGone."""
    return (await read_timelines(redis, (after,), count)).messages


async def timeline(redis: Redis) -> list[LiveEvent]:
    """Return the timeline, oldest first."""
    messages: Any = await redis.zrange(TIMELINE, 0, -1)
    return [parse_message(message) for message in messages]


async def history(redis: Redis, event_type: str) -> list[LiveEvent]:
    """Return the history of a type, oldest first."""
    messages: Any = await redis.lrange(history_key(event_type), 0, -1)
    return [parse_message(message) for message in reversed(messages)]
