"""Live messages in Redis, published as a live worker does, at the moment a test chooses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from redis.asyncio import Redis
from uuid_utils.compat import uuid7

from processors.live.worker import BATCH, prepare
from schemas.accepted import AcceptedEvent
from schemas.live import head_of
from stream.keys import TIMELINE
from stream.live.feed import Feed, record_partitions
from stream.live.publisher import Publisher
from tests.support.entries import append_events
from tests.support.events import event, learner


async def publish(redis: Redis, events: Sequence[AcceptedEvent], *, keep: int = 1_000_000) -> list[str]:
    """Publish events, each as a new one; return the ids of their messages. The timeline keeps the newest `keep`."""
    await append_events(redis, [one._replace(event_id=uuid7()) for one in events])
    feed = Feed(redis, 0, "tests")
    publisher = Publisher(redis, 0, "tests", keep, keep)
    published = 0
    ids: list[str] = []
    while published < len(events):
        cursor = await feed.lead()
        assert cursor is not None
        move, publications, others, _ = prepare(cursor, await feed.read(cursor, BATCH, 1), frozenset())
        assert not others, "every event is one that can be published"
        count = (await publisher.publish(move, publications)).published
        newest: Any = await redis.zrange(TIMELINE, -count, -1)
        ids += [str(head.id) for message in newest if (head := head_of(message))]
        published += count
    return ids


def xp_of_many(numbers: Iterator[int], count: int) -> list[AcceptedEvent]:
    """Return new events of several learners, so that each partition has some."""
    return [
        event("xp_earned", {"xp_amount": 1}, number=number, user_hash=learner(number))
        for number in islice(numbers, count)
    ]


async def publish_in(
    partitions: int, redis: Redis, events: Sequence[AcceptedEvent], only: Sequence[int] | None = None
) -> None:
    """Append events to a system with several partitions, and publish whatever waits in them, or in some `only`."""
    await record_partitions(redis, partitions)
    await append_events(redis, events, partitions)
    for partition in range(partitions) if only is None else only:
        feed = Feed(redis, partition, "tests")
        cursor = await feed.lead()
        while cursor is not None and (entries := await feed.read(cursor, BATCH, 1)):
            move, publications, _, _ = prepare(cursor, entries, frozenset())
            await Publisher(redis, partition, "tests", 1_000, 1_000, partitions).publish(move, publications)
            cursor = move.to
