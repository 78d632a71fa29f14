"""Live messages as Redis stores them, and a live worker in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from processors.live import worker as live
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.live import LiveEvent, parse_message
from stream.entries.lag import measure
from stream.keys import LIVE_GROUP, TIMELINE, history_key
from stream.server.connection import Redis
from tests.support.loops import looping
from tests.support.waiting import eventually


@asynccontextmanager
async def publishing(settings: Settings) -> AsyncIterator[None]:
    """Run a live worker for the block."""
    async with looping(live.run, settings):
        yield


def once(events: Sequence[AcceptedEvent]) -> list[AcceptedEvent]:
    """Return the events without repeats."""
    return list({one.event_id: one for one in reversed(events)}.values())[::-1]


async def all_published(redis: Redis, appended: int, partition: int = 0) -> None:
    """Wait until the live group has settled `appended` entries."""

    async def is_done() -> bool:
        lag = await measure(redis, partition, LIVE_GROUP)
        return lag.appended >= appended and lag.undelivered == 0 and lag.pending == 0

    await eventually(is_done)


async def timeline(redis: Redis) -> list[LiveEvent]:
    """Return the timeline, oldest first."""
    messages: Any = await redis.zrange(TIMELINE, 0, -1)
    return [parse_message(message) for message in messages]


async def history(redis: Redis, event_type: str) -> list[LiveEvent]:
    """Return the history of a type, oldest first."""
    messages: Any = await redis.lrange(history_key(event_type), 0, -1)
    return [parse_message(message) for message in reversed(messages)]
