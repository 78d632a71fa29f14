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
from .redis_names import CHANNEL_PREFIX, LIVE_STATE, TIMELINE
from .schemas.catalogue import EventType
from .schemas.live import HEARTBEAT_SECONDS, LiveEvent

PAGE: Final = 500
PATIENCE_SECONDS: Final = 10.0


class _Page(NamedTuple):
    last: int
    is_whole: bool
    """Whether the timeline has all events after the id."""
    found: list[tuple[bytes, float]]


class RedisSource:
    """Uses two connections: one for pub/sub, one for queries."""

    def __init__(self, url: str, quiet_seconds: float = HEARTBEAT_SECONDS, patience: float = PATIENCE_SECONDS) -> None:
        """After `quiet_seconds` without a message the connection is tested; `patience` is the timeout of the answer."""
        self._url = url
        self._quiet_seconds = quiet_seconds
        self._patience = patience

    async def listen(self, types: frozenset[str] | None, after: int | None) -> AsyncGenerator[Frame, None]:
        """Yield the events after `after`, then new events."""
        wanted = types if types is not None else frozenset(map(str, EventType))
        try:
            async with self._connected() as redis, redis.pubsub() as channels:
                early = await _subscribe(channels, wanted, self._patience)
                # subscribes before it reads the timeline: events in both are recognized by their id
                async for frame in _caught_up(redis, wanted, after, self._quiet_seconds):
                    yield frame
                for message in early:
                    yield _published(message)
                async for frame in self._live(redis, channels):
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

    async def _live(self, redis: Redis, channels: PubSub) -> AsyncIterator[Frame]:
        checkpoint: int | None = None
        while True:
            waiting = self._quiet_seconds if checkpoint is None else self._patience
            message = await channels.get_message(timeout=waiting)
            if message is None:
                if checkpoint is not None:
                    raise Disconnected("no answer from Redis")
                # messages published before this query reach the channels before its pong
                checkpoint = await _last_id(redis)
                await channels.ping()
            elif message["type"] == "message":
                checkpoint = None
                yield _published(message["data"])
            elif message["type"] == "pong" and checkpoint is not None:
                yield Events([], checkpoint)
                checkpoint = None


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


async def _caught_up(redis: Redis, types: frozenset[str], after: int | None, quiet: float) -> AsyncIterator[Frame]:
    if after is None:
        yield Welcome(await _last_id(redis), quiet)
        return
    while True:
        page = await _read(redis, after)
        if not page.is_whole:
            yield Gap(page.last, "history_gone")
            return
        events = [event for event in _messages([text for text, _ in page.found]) if event.event_type in types]
        after = int(page.found[-1][1]) if page.found else after
        yield Events(events, after)
        if len(page.found) < PAGE:
            return


async def _read(redis: Redis, after: int) -> _Page:
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.hmget(LIVE_STATE, "last", "floor")
        pipeline.zrangebyscore(TIMELINE, f"({after}", "+inf", start=0, num=PAGE, withscores=True)
        reply: Any = await pipeline.execute()
    (last, floor), found = reply
    is_whole = int(floor or 0) <= after <= int(last or 0)
    return _Page(int(last or 0), is_whole, found)


async def _last_id(redis: Redis) -> int:
    last: Any = await redis.hget(LIVE_STATE, "last")
    return int(last or 0)


def _published(text: bytes) -> Events:
    events = _messages([text])
    return Events(events, max((int(event.id) for event in events), default=0))


def _messages(texts: list[bytes]) -> list[LiveEvent]:
    with NO_FORK:
        documents = [from_json(text) for text in texts]
    return readable(documents)
