"""Computes how long events wait to be stored, from polls of the time up to which all events are stored.

An event that was appended at some time counts as stored at the first poll with a later time. Senders are steady, so
each moment between two polls represents the same number of events. The latency includes the poll interval.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final, NamedTuple

from stream.entries.lag import measure
from stream.server.connection import Redis

POLL_SECONDS: Final = 0.02
_GRID_SECONDS: Final = 0.001


class Poll(NamedTuple):
    """The result of a poll. Times are Unix times of this machine's clock."""

    at: float
    through: float
    """Everything appended before this time is stored and acknowledged."""
    backlog: int
    """Number of entries that are not stored yet."""


def latencies(polls: Sequence[Poll], since: float, until: float) -> list[float]:
    """Return the sorted seconds from append to stored, for each millisecond between `since` and `until`."""
    found: list[float] = []
    moments = count(1)
    moment = since
    for poll in polls:
        while moment < min(poll.through, until):
            found.append(poll.at - moment)
            moment = since + next(moments) * _GRID_SECONDS
    return sorted(found)


def backlog_at(polls: Sequence[Poll], moment: float) -> int:
    """Return the backlog at the first poll at or after `moment`."""
    return next(poll.backlog for poll in polls if poll.at >= moment)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@asynccontextmanager
async def watched(redis: Redis) -> AsyncIterator[list[Poll]]:
    """Poll during the block, and after it until nothing waits any more."""
    polls: list[Poll] = []
    over = asyncio.Event()

    async def watch() -> None:
        while not over.is_set() or polls[-1].backlog:
            polls.append(await _poll(redis))
            await asyncio.sleep(POLL_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch())
        try:
            yield polls
        finally:
            over.set()


async def _poll(redis: Redis) -> Poll:
    lag = await measure(redis, 0)
    through = min(lag.redis_now, lag.oldest_unsettled_at or lag.redis_now).timestamp()
    assert lag.undelivered is not None
    return Poll(time.time(), through, lag.undelivered + lag.pending)
