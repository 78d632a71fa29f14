"""How long events wait to be stored, from polls of the moment up to which all are.

An event that was appended at some moment is stored at the first poll that says so of a later one. Senders are steady,
so each moment between two polls stands for as many events. The time includes the poll's own interval.
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
    """What a poll said; times are Unix times of the one clock of this machine."""

    at: float
    through: float
    """Everything appended before is stored and acknowledged."""
    backlog: int
    """Entries that are not."""


def latencies(polls: Sequence[Poll], since: float, until: float) -> list[float]:
    """Return the seconds from append to stored of events at every millisecond of a time, in order of their length."""
    found: list[float] = []
    moments = count(1)
    moment = since
    for poll in polls:
        while moment < min(poll.through, until):
            found.append(poll.at - moment)
            moment = since + next(moments) * _GRID_SECONDS
    return sorted(found)


def backlog_at(polls: Sequence[Poll], moment: float) -> int:
    """Return the entries that waited at the first poll from that moment on."""
    return next(poll.backlog for poll in polls if poll.at >= moment)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@asynccontextmanager
async def watched(redis: Redis) -> AsyncIterator[list[Poll]]:
    """Poll all the while; when it is over, once nothing waits any more."""
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
