"""Reads live events from Redis, within the cluster: new ones by pub/sub, missed ones from the timeline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from pydantic_core import from_json
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from .errors import SubscriptionRefused
from .live_frames import Disconnected, Events, Frame, Gap, Welcome, readable
from .no_fork import NO_FORK
from .redis_names import CHANNEL_PREFIX, LIVE_STATE, live_names
from .schemas.catalogue import EventType
from .schemas.live import HEARTBEAT_SECONDS, LiveEvent
from .schemas.live_cursor import Position, cursor_of, parse_cursor

PAGE: Final = 500
PATIENCE_SECONDS: Final = 10.0


class _Page(NamedTuple):
    last: Position
    """Ids of the newest messages."""
    is_whole: bool
    """Whether the timelines have all messages after the position."""
    found: list[bytes]
    end: Position
    """The position after the page."""
    is_last: bool


class RedisSource:
    """Uses two connections: one for pub/sub, one for queries."""

    def __init__(self, url: str, quiet_seconds: float = HEARTBEAT_SECONDS, patience: float = PATIENCE_SECONDS) -> None:
        """After `quiet_seconds` without a message the connection is tested; `patience` is the timeout of the answer."""
        self._url = url
        self._quiet_seconds = quiet_seconds
        self._patience = patience

    async def listen(self, types: frozenset[str] | None, after: str | None) -> AsyncGenerator[Frame, None]:
        """Yield the events after the cursor `after`, then new events."""
        wanted = types if types is not None else frozenset(map(str, EventType))
        try:
            async with self._connected() as redis, redis.pubsub() as channels:
                early = await _subscribe(channels, wanted, self._patience)
                # subscribes before it reads the timelines: events in both are recognized by their ids
                position: Position = ()
                async for frame, reached in _caught_up(redis, wanted, after, self._quiet_seconds):
                    position = reached
                    yield frame
                async for frame in self._live(redis, channels, early, position):
                    yield frame
        except AuthenticationError:
            raise SubscriptionRefused(401, "Redis rejects the login in url") from None
        except NoPermissionError:
            raise SubscriptionRefused(403, "the Redis login in url may not subscribe to these channels") from None
        except (OSError, asyncio.TimeoutError, RedisError) as error:
            raise Disconnected(type(error).__name__) from error

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Redis]:
        # no retries: a silent reconnect would miss messages
        redis = Redis.from_url(
            self._url,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=self._patience,
            socket_timeout=self._patience,
        )
        try:
            yield redis
        finally:
            await redis.aclose()

    async def _live(
        self, redis: Redis, channels: PubSub, early: list[bytes], position: Position
    ) -> AsyncIterator[Frame]:
        for text in early:
            events, position = _published(text, position)
            if events:
                yield Events(events, cursor_of(position))
        checkpoint: Position | None = None
        while True:
            waiting = self._quiet_seconds if checkpoint is None else self._patience
            message = await channels.get_message(timeout=waiting)
            if message is None:
                if checkpoint is not None:
                    raise Disconnected("no answer from Redis")
                # messages published before this query reach the channels before its pong
                checkpoint = await _last_ids(redis, len(position))
                await channels.ping()
            elif message["type"] == "message":
                checkpoint = None
                events, position = _published(message["data"], position)
                if events:
                    yield Events(events, cursor_of(position))
            elif message["type"] == "pong" and checkpoint is not None:
                position, checkpoint = tuple(map(max, position, checkpoint)), None
                yield Events([], cursor_of(position))


async def _subscribe(channels: PubSub, types: frozenset[str], patience: float) -> list[bytes]:
    """Subscribe to all channels; return the messages that arrived meanwhile."""
    await channels.subscribe(*(CHANNEL_PREFIX + name for name in types))
    early, confirmed = [], 0
    while confirmed < len(types):
        message = await channels.get_message(timeout=patience)
        if message is None:
            raise Disconnected("no answer from Redis")
        if message["type"] == "subscribe":
            confirmed += 1
        elif message["type"] == "message":
            early.append(message["data"])
    return early


async def _caught_up(
    redis: Redis, types: frozenset[str], after: str | None, quiet: float
) -> AsyncIterator[tuple[Frame, Position]]:
    """Yield the frames of the messages after a cursor, each with the position after it."""
    number: Any = await redis.hget(LIVE_STATE, "partitions")
    partitions = int(number or 1)
    if after is None:
        position = await _last_ids(redis, partitions)
        yield Welcome(cursor_of(position), quiet), position
        return
    known = parse_cursor(after, partitions)
    while True:
        page = await _read(redis, known or (0,) * partitions)
        if known is None or not page.is_whole:
            yield Gap(cursor_of(page.last), "history_gone"), page.last
            return
        events: list[LiveEvent] = []
        for text in page.found:
            found, known = _published(text, known)
            events += [event for event in found if event.event_type in types]
        known = page.end
        yield Events(events, cursor_of(known)), known
        if page.is_last:
            return


async def _read(redis: Redis, after: Position) -> _Page:
    names = [live_names(partition, len(after)) for partition in range(len(after))]
    last, is_whole, found, end, is_last = list[int](), True, list[bytes](), list[int](), True
    for (timeline, state), at in zip(names, after, strict=True):
        async with redis.pipeline(transaction=True) as pipeline:
            pipeline.hmget(state, "last", "floor")
            pipeline.zrangebyscore(timeline, f"({at}", "+inf", start=0, num=PAGE, withscores=True)
            (newest, floor), part = await pipeline.execute()
        last.append(int(newest or 0))
        is_whole = is_whole and int(floor or 0) <= at <= last[-1]
        found += [text for text, _ in part]
        end.append(int(part[-1][1]) if part else at)
        is_last = is_last and len(part) < PAGE
    return _Page(tuple(last), is_whole, found, tuple(end), is_last)


async def _last_ids(redis: Redis, partitions: int) -> Position:
    ids = list[int]()
    for partition in range(partitions):
        last: Any = await redis.hget(live_names(partition, partitions)[1], "last")
        ids.append(int(last or 0))
    return tuple(ids)


def _published(text: bytes, position: Position) -> tuple[list[LiveEvent], Position]:
    """Return the event of a message, unless it is known or unreadable, and the position after it.

    Raises Disconnected for a message of a partition that is not known: the next connection learns their number.
    """
    with NO_FORK:
        document = from_json(text)
    partition, number = document.get("partition", 0), int(document["id"])
    if partition >= len(position):
        raise Disconnected("the number of partitions has changed")
    if number <= position[partition]:
        return [], position
    position = (*position[:partition], number, *position[partition + 1 :])
    return readable([document | {"id": cursor_of(position)}]), position
