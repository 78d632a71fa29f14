"""The timeline of live messages, read as a log: what came behind an id, or that this is no longer known."""

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
    """What the timeline has behind an id."""

    messages: list[TimelineMessage]
    """Oldest first."""
    last: int
    """Id of the newest message that was ever published; 0 when none was."""


class HistoryGone(Exception):
    """Messages behind this id may have left the timeline, or Redis lost what gave it."""

    def __init__(self, floor: int, last: int) -> None:
        super().__init__(f"known are {floor} to {last}")
        self.floor = floor
        """Id behind which everything is known."""
        self.last = last
        """As in a page."""


async def read_timeline(redis: Redis, after: int, count: int) -> TimelinePage:
    """Return up to `count` messages behind `after`, all of them if there are fewer. Raises StreamUnavailable.

    Raises HistoryGone when some that came behind it are not there any more. Id 0 is behind nothing that was trimmed
    only as long as nothing was.
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
    """Return the id of the newest message that was ever published; 0 when none was. Raises StreamUnavailable."""
    with translated_errors():
        last: Any = await redis.hget(LIVE_STATE, "last")
    return int(last or _FIRST)
