"""Removes live messages past their retention, and those of erased learners, from the histories and the timeline."""

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
    """Remove messages older than `retention` by Redis' clock; return their number, in histories and timeline together.

    Raises StreamUnavailable.
    """
    script = redis.register_script(_PRUNE)
    keys = [TIMELINE, LIVE_STATE, LIVE_EVENTS, *_HISTORIES]
    with translated_errors():
        removed: int = await script(keys=keys, args=[retention // timedelta(microseconds=1)])
    return removed


async def find_learner_messages(redis: Redis, user_hashes: Set[bytes]) -> AsyncIterator[tuple[str, bytes]]:
    """Yield key and text of each message about one of these learners; once for each key that holds it.

    Reads all messages, but may miss those published meanwhile. Raises StreamUnavailable.
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
    """Remove every message about these learners, and the ids of their events; return the number of messages.

    A message under two keys counts twice. Raises StreamUnavailable; a repeated call then completes the removal, because
    event ids are removed before the messages that refer to them.
    """
    if not user_hashes:
        return 0
    found = [one async for one in find_learner_messages(redis, user_hashes)]
    with translated_errors():
        async with redis.pipeline(transaction=False) as pipeline:
            # the id of an event is stored with the id of its message as score
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
    # by score: ranks change while old messages are removed
    after = "-inf"
    while True:
        with translated_errors():
            page: Any = await redis.zrangebyscore(TIMELINE, after, "+inf", start=0, num=_PAGE, withscores=True)
        if not page:
            return
        yield [message for message, _ in page]
        after = f"({page[-1][1]:.0f}"


async def _history(redis: Redis, key: str) -> AsyncIterator[list[bytes]]:
    # new messages are pushed to the front, so a page may repeat some messages but misses none
    start = 0
    while True:
        with translated_errors():
            page: Any = await redis.lrange(key, start, start + _PAGE - 1)
        if not page:
            return
        yield page
        start += len(page)
