"""Live messages in Redis, as the live worker publishes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from schemas.accepted import AcceptedEvent
from schemas.live import message_tail
from stream.keys import LIVE_STATE, TIMELINE


async def publish(redis: Redis, events: Sequence[AcceptedEvent], *, keep: int | None = None) -> list[str]:
    """Publish events in one step; return the ids of their messages. With `keep`, older ones leave the timeline."""
    seconds, microseconds = await redis.time()
    now = seconds * 1_000_000 + microseconds
    known: Any = await redis.hget(LIVE_STATE, "last")
    last = int(known or 0)
    async with redis.pipeline(transaction=True) as pipeline:
        if not last:
            pipeline.hset(LIVE_STATE, "floor", now - 1)
        ids = []
        for event in events:
            last = max(now, last + 1)
            pipeline.zadd(TIMELINE, {f'{{"id":"{last}",{message_tail(event)}': last})
            ids.append(str(last))
        pipeline.hset(LIVE_STATE, "last", last)
        await pipeline.execute()
    if keep is not None:
        await _trim(redis, keep)
    return ids


async def _trim(redis: Redis, keep: int) -> None:
    excess = await redis.zcard(TIMELINE) - keep
    if excess <= 0:
        return
    found: Any = await redis.zrange(TIMELINE, excess - 1, excess - 1, withscores=True)
    [(_, newest_gone)] = found
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.zremrangebyrank(TIMELINE, 0, excess - 1)
        pipeline.hset(LIVE_STATE, "floor", int(newest_gone))
        await pipeline.execute()
