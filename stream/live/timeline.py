"""Reads the timelines of live messages as logs: the messages after an id of each, or an error if they are not known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from heapq import merge
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from stream.keys import LiveKeys, live_keys
from stream.server.failures import translated_errors

_FIRST: Final = 0

Ids = tuple[int, ...]
"""One id of a message for each partition."""


class TimelineMessage(NamedTuple):
    """One message and its id."""

    id: int
    text: bytes
    """JSON, as `schemas.live` describes it."""
    partition: int = 0


class TimelinePage(NamedTuple):
    """The messages after an id of each partition."""

    messages: list[TimelineMessage]
    """Ordered by their ids; those of a partition are oldest first."""
    end: Ids
    """Ids up to which the page has every message."""
    is_last: bool
    """Whether no partition had more messages."""


class HistoryGone(Exception):
    """Messages after the given ids may have left a timeline, or an id is not of its timeline."""

    def __init__(self, after: Ids, floor: Ids, last: Ids) -> None:
        super().__init__(f"asked for those after {after}, known are {floor} to {last}")
        self.after = after
        self.floor = floor
        """Ids after which every message is known."""
        self.last = last
        """Ids of the newest messages ever published; 0 where there is none."""

    @property
    def first(self) -> Ids | None:
        """The ids to continue after if only the first messages of partitions are new; None if messages are gone."""
        found = []
        for after, floor, last in zip(self.after, self.floor, self.last, strict=True):
            if floor <= after <= last:
                found.append(after)
            elif after == _FIRST and floor < last:
                found.append(floor)
            else:
                return None
        return tuple(found)


class _Part(NamedTuple):
    messages: list[TimelineMessage]
    floor: int
    last: int


async def read_timelines(redis: Redis, after: Ids, count: int) -> TimelinePage:
    """Return the first `count` messages of each partition after an id; fewer if there are no more.

    Raises StreamUnavailable. Raises HistoryGone if messages after an id may have left its timeline; for id 0, once any
    message was published.
    """
    keys = [live_keys(partition, len(after)) for partition in range(len(after))]
    with translated_errors():
        # one call for each: on a cluster they may be on different nodes
        parts = await asyncio.gather(
            *(_read(redis, live, number, at, count) for number, (live, at) in enumerate(zip(keys, after, strict=True)))
        )
    if not all(part.floor <= at <= part.last for part, at in zip(parts, after, strict=True)):
        raise HistoryGone(after, tuple(part.floor for part in parts), tuple(part.last for part in parts))
    is_full = [len(part.messages) == count for part in parts]
    return TimelinePage(
        list(merge(*(part.messages for part in parts), key=lambda message: message.id)),
        tuple(part.messages[-1].id if full else part.last for part, full in zip(parts, is_full, strict=True)),
        not any(is_full),
    )


async def last_message_ids(redis: Redis, partitions: int) -> Ids:
    """Return the ids of the newest messages ever published; 0 where there is none. Raises StreamUnavailable."""
    with translated_errors():
        async with redis.pipeline(transaction=False) as pipeline:
            for partition in range(partitions):
                pipeline.hget(live_keys(partition, partitions).state, "last")
            found: Sequence[Any] = await pipeline.execute()
    return tuple(int(last or _FIRST) for last in found)


async def _read(redis: Redis, live: LiveKeys, partition: int, after: int, count: int) -> _Part:
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.hmget(live.state, "last", "floor")
        pipeline.zrangebyscore(live.timeline, f"({after}", "+inf", start=0, num=count, withscores=True)
        reply: Any = await pipeline.execute()
    state, found = reply
    last, floor = (int(one or _FIRST) for one in state)
    return _Part([TimelineMessage(int(score), text, partition) for text, score in found], floor, last)
