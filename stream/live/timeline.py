"""Reads the timeline of live messages as a log: the messages after an id, or an error if they are no longer known."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from stream.keys import LIVE_STATE, TIMELINE
from stream.server.failures import translated_errors

_FIRST: Final = 0


class TimelineMessage(NamedTuple):
    """One message and its id."""

    id: int
    text: bytes
    """JSON, as `schemas.live` describes it."""


class TimelinePage(NamedTuple):
    """The messages of the timeline after an id."""

    messages: list[TimelineMessage]
    """Oldest first."""
    last: int
    """Id of the newest message ever published; 0 if there is none."""


class HistoryGone(Exception):
    """Messages after the given id may have left the timeline, or the id is not of this timeline."""

    def __init__(self, floor: int, last: int) -> None:
        super().__init__(f"known are {floor} to {last}")
        self.floor = floor
        """Id after which every message is known."""
        self.last = last
        """As in `TimelinePage`."""


async def read_timeline(redis: Redis, after: int, count: int) -> TimelinePage:
    """Return the first `count` messages after the id `after`; fewer if there are no more. Raises StreamUnavailable.

    Raises HistoryGone if messages after this id may have left the timeline; for id 0, once any message was published.
    """
    with translated_errors():
        async with redis.pipeline(transaction=True) as pipeline:
            pipeline.hmget(LIVE_STATE, "last", "floor")
            pipeline.zrangebyscore(TIMELINE, f"({after}", "+inf", start=0, num=count, withscores=True)
            reply: Any = await pipeline.execute()
    state, found = reply
    last, floor = (int(one or _FIRST) for one in state)
    if not floor <= after <= last:
        raise HistoryGone(floor, last)
    return TimelinePage([TimelineMessage(int(score), text) for text, score in found], last)


async def last_message_id(redis: Redis) -> int:
    """Return the id of the newest message ever published; 0 if there is none. Raises StreamUnavailable."""
    with translated_errors():
        last: Any = await redis.hget(LIVE_STATE, "last")
    return int(last or _FIRST)
