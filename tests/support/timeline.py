"""Live messages in Redis, published as a live worker does, at the moment a test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from uuid_utils.compat import uuid7

from processors.live.worker import BATCH, prepare
from schemas.accepted import AcceptedEvent
from schemas.live import head_of
from stream.entries.consumer import Consumer
from stream.keys import LIVE_GROUP, TIMELINE
from stream.live.publisher import Publisher
from tests.support.entries import append_events


async def publish(redis: Redis, events: Sequence[AcceptedEvent], *, keep: int = 1_000_000) -> list[str]:
    """Publish events, each as a new one; return the ids of their messages. The timeline keeps the newest `keep`."""
    await append_events(redis, [one._replace(event_id=uuid7()) for one in events])
    consumer = Consumer(redis, 0, LIVE_GROUP, "tests", claim_idle_seconds=120)
    await consumer.join()
    published = 0
    ids: list[str] = []
    while published < len(events):
        publications, others, _ = prepare(await consumer.read(BATCH, 1), frozenset())
        assert not others, "every event is one that can be published"
        count = (await Publisher(redis, 0, keep, keep).publish(publications)).published
        newest: Any = await redis.zrange(TIMELINE, -count, -1)
        ids += [str(head.id) for message in newest if (head := head_of(message))]
        published += count
    return ids
