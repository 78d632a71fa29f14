"""Removes live messages past their retention, and those of erased learners, from the histories and the timelines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Set
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from schemas.catalogue import EventType
from schemas.live import head_of
from stream.keys import LiveKeys, live_keys
from stream.server.failures import translated_errors

_PAGE: Final = 2_000

_PRUNE: Final = (Path(__file__).parent / "prune_live.lua").read_text(encoding="utf-8")


async def prune(redis: Redis, retention: timedelta, partitions: int = 1) -> int:
    """Remove messages older than `retention` by Redis' clock; return their number, in histories and timelines together.

    Raises StreamUnavailable.
    """
    script = redis.register_script(_PRUNE)
    removed = 0
    for live in _all_keys(partitions):
        keys = [live.timeline, live.state, live.events, *map(live.history, EventType)]
        with translated_errors():
            removed += await script(keys=keys, args=[retention // timedelta(microseconds=1)])
    return removed


async def find_learner_messages(
    redis: Redis, user_hashes: Set[bytes], partitions: int = 1
) -> AsyncIterator[tuple[LiveKeys, str, bytes]]:
    """Yield the keys of the partition, the key and the text of each message about one of these learners.

    A message is found once for each key that holds it. Reads all messages, but may miss those published meanwhile.
    Raises StreamUnavailable.
    """
    wanted = {one.hex() for one in user_hashes}
    for live in _all_keys(partitions):
        for key in (live.timeline, *map(live.history, EventType)):
            pages = _timeline(redis, key) if key == live.timeline else _history(redis, key)
            async for page in pages:
                for message in page:
                    head = head_of(message)
                    if head is not None and head.user_hash in wanted:
                        yield live, key, message


async def remove_learner_messages(redis: Redis, user_hashes: Set[bytes], partitions: int = 1) -> int:
    """Remove every message about these learners, and the ids of their events; return the number of messages.

    A message under two keys counts twice. Raises StreamUnavailable; a repeated call then completes the removal, because
    event ids are removed before the messages that refer to them.
    """
    if not user_hashes:
        return 0
    found = [one async for one in find_learner_messages(redis, user_hashes, partitions)]
    with translated_errors():
        async with redis.pipeline(transaction=False) as pipeline:
            # the id of an event is stored with the id of its message as score
            for events, number in {(live.events, head.id) for live, _, text in found if (head := head_of(text))}:
                pipeline.zremrangebyscore(events, number, number)
            await pipeline.execute()
        async with redis.pipeline(transaction=False) as pipeline:
            for live, key, message in found:
                if key == live.timeline:
                    pipeline.zrem(key, message)
                else:
                    pipeline.lrem(key, 0, message.decode())
            removed: list[int] = await pipeline.execute()
    return sum(removed)


def _all_keys(partitions: int) -> list[LiveKeys]:
    # a system whose number of partitions was raised still has messages under the names of one partition
    of_partitions = [live_keys(partition, partitions) for partition in range(partitions)]
    return of_partitions if partitions == 1 else [live_keys(0, 1), *of_partitions]


async def _timeline(redis: Redis, key: str) -> AsyncIterator[list[bytes]]:
    # by score: ranks change while old messages are removed
    after = "-inf"
    while True:
        with translated_errors():
            page: Any = await redis.zrangebyscore(key, after, "+inf", start=0, num=_PAGE, withscores=True)
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
