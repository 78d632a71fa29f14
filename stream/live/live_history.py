"""Keeps the histories and the timeline of live messages no longer than they may be, and free of who was erased."""

from __future__ import annotations

from collections.abc import AsyncIterator, Set
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from schemas.catalogue import EventType
from schemas.live import head_of
from stream.keys import LIVE_EVENTS, LIVE_STATE, TIMELINE, history_key
from stream.server.failures import translated_errors

_PAGE: Final = 2_000
_HISTORIES: Final = [history_key(event_type) for event_type in EventType]

_PRUNE: Final = (Path(__file__).parent / "prune_live.lua").read_text(encoding="utf-8")


async def prune(redis: Redis, retention: timedelta) -> int:
    """Remove every message older than `retention` by Redis' clock; return how many, those of both places counted.

    Raises StreamUnavailable.
    """
    script = redis.register_script(_PRUNE)
    keys = [TIMELINE, LIVE_STATE, LIVE_EVENTS, *_HISTORIES]
    with translated_errors():
        removed: int = await script(keys=keys, args=[retention // timedelta(microseconds=1)])
    return removed


async def find_learner_messages(redis: Redis, user_hashes: Set[bytes]) -> AsyncIterator[tuple[str, bytes]]:
    """Yield key and text of each message about one of these learners; one that is in two places, twice.

    Reads all there is; what is published meanwhile may be left out. Raises StreamUnavailable.
    """
    wanted = {one.hex() for one in user_hashes}
    for key in (TIMELINE, *_HISTORIES):
        pages = _timeline(redis) if key == TIMELINE else _history(redis, key)
        async for page in pages:
            for message in page:
                head = head_of(message)
                if head is not None and head.user_hash in wanted:
                    yield key, message


async def remove_learner_messages(redis: Redis, user_hashes: Set[bytes]) -> int:
    """Remove every message about one of these learners, and the ids of their events; return how many messages.

    One that is in two places counts twice. Raises StreamUnavailable; then the messages that are left lead to their ids.
    """
    if not user_hashes:
        return 0
    found = [one async for one in find_learner_messages(redis, user_hashes)]
    with translated_errors():
        async with redis.pipeline(transaction=False) as pipeline:
            # an event is remembered by the id of its message
            for number in {head.id for _, message in found if (head := head_of(message))}:
                pipeline.zremrangebyscore(LIVE_EVENTS, number, number)
            await pipeline.execute()
        async with redis.pipeline(transaction=False) as pipeline:
            for key, message in found:
                if key == TIMELINE:
                    pipeline.zrem(key, message)
                else:
                    pipeline.lrem(key, 0, message.decode())
            removed: list[int] = await pipeline.execute()
    return sum(removed)


async def _timeline(redis: Redis) -> AsyncIterator[list[bytes]]:
    # by score: ranks move while old messages leave
    after = "-inf"
    while True:
        with translated_errors():
            page: Any = await redis.zrangebyscore(TIMELINE, after, "+inf", start=0, num=_PAGE, withscores=True)
        if not page:
            return
        yield [message for message, _ in page]
        after = f"({page[-1][1]:.0f}"


async def _history(redis: Redis, key: str) -> AsyncIterator[list[bytes]]:
    # new messages come in front, so that a page may repeat some and never leaves one out
    start = 0
    while True:
        with translated_errors():
            page: Any = await redis.lrange(key, start, start + _PAGE - 1)
        if not page:
            return
        yield page
        start += len(page)
