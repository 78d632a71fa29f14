"""The event bus: subscribes to live events. Delivers each event once and in order, across reconnects."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from functools import cache
from typing import Final, Literal

from .errors import ConfigurationError, SubscriptionRefused
from .event_form import Id, id_text
from .hooks import LOGGER, ErrorHook
from .live_frames import Behind, Disconnected, Events, Frame, Gap, Source, Welcome, WrongService
from .live_socket import SocketSource, Token
from .options import OnError
from .retry import Backoff
from .schemas.live import LiveEvent
from .subscriptions import GapHandler, Handler, Subscriptions, chosen

RECONNECT: Final = Backoff(0.5, 30.0, random.random)

TransportName = Literal["websocket", "redis"]


class EventBus:
    """Delivers live events of the platform to handlers.

    `url` is the URL of the read service, or of Redis for the transport "redis", which is for services in the cluster.
    `key` is an API key with the scope events:read. `token` is a learner's JWT, or a function that returns a fresh one.
    `last_id` resumes after an event; the default starts with new events. `ca_file` has the trusted certificates; the
    default are those of the machine. Raises ConfigurationError.

    An event is delivered when its handlers have returned. An exception of a handler is reported to `on_error`, and the
    bus continues.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        token: Token | None = None,
        transport: TransportName = "websocket",
        user_id: Id | None = None,
        last_id: str | None = None,
        ca_file: str | None = None,
        on_error: OnError | None = None,
        source: Source | None = None,
        reconnect: Backoff = RECONNECT,
    ) -> None:
        self._source = source or _source(
            _address(url, transport), _credential(token or key), transport, user_id, ca_file
        )
        self._subscriptions = Subscriptions(ErrorHook(on_error))
        self._reconnect = reconnect
        self._cursor = last_id
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._is_stopping = False
        self._was_connected = False

    @property
    def last_id(self) -> str | None:
        """Id of the last delivered event. Pass it to another bus to resume there."""
        return self._cursor

    async def subscribe(self, types: Iterable[str] | None, handler: Handler) -> None:
        """Register a handler for events of these types; None for all types.

        The handler is a coroutine function, or a function that does not block. If the bus listens, new types make it
        reconnect, without loss of events. Raises ConfigurationError for an unknown type.
        """
        before = self._subscriptions.types
        self._subscriptions.add(types, handler)
        if self._loop is not None and self._subscriptions.types != before:
            self._woken.set()

    def on_gap(self, handler: GapHandler) -> None:
        """Register a handler for gaps: events that are lost because the history does not reach back to them."""
        self._subscriptions.add_for_gaps(handler)

    async def start_listening(self) -> None:
        """Call handlers until `stop`. Reconnects without limit after a connection ends.

        Raises SubscriptionRefused when the credentials are rejected or have expired, or when the first answer is not
        from a read service. Raises ConfigurationError without a subscription.
        """
        if self._subscriptions.types == frozenset():
            raise ConfigurationError("subscribe before start_listening")
        async with aclosing(self._received(None)) as received:
            async for news in received:
                await self._subscriptions.deliver(news)

    async def events(self, types: Iterable[str] | None = None) -> AsyncGenerator[LiveEvent, None]:
        """Yield events of these types, None for all types, until `stop`. Gaps go to the `on_gap` handlers."""
        async with aclosing(self._received([chosen(types)])) as received:
            async for news in received:
                if isinstance(news, Gap):
                    await self._subscriptions.deliver(news)
                else:
                    yield news

    def run(self) -> None:
        """Listen from synchronous code. Blocks until `stop`, which any thread and any handler may call."""
        asyncio.run(self.start_listening())

    def stop(self) -> None:
        """Stop listening after the running handler. No-op when the bus does not listen. Thread-safe."""
        if self._loop is not None:
            self._is_stopping = True
            self._loop.call_soon_threadsafe(self._woken.set)

    async def _received(self, fixed: list[frozenset[str] | None] | None) -> AsyncGenerator[LiveEvent | Gap, None]:
        """Yield new events and gaps across reconnects. `fixed` holds the types; None for those of the handlers."""
        if self._loop is not None:
            raise RuntimeError("this bus listens already; use another EventBus")
        self._loop, self._woken, self._is_stopping = asyncio.get_running_loop(), asyncio.Event(), False
        failures = 0
        try:
            while not self._must_end():
                self._woken.clear()
                types = fixed[0] if fixed is not None else self._subscriptions.types
                try:
                    async with aclosing(self._source.listen(types, self._cursor)) as frames:
                        while (frame := await self._next(frames)) is not None:
                            failures = 0
                            for news in self._news(frame):
                                yield news
                                self._cursor = news.cursor if isinstance(news, Gap) else news.id
                                if self._must_end():
                                    return
                            self._record(frame)
                except Disconnected as disconnected:
                    if isinstance(disconnected, WrongService) and not self._was_connected:
                        raise SubscriptionRefused(disconnected.status, str(disconnected)) from None
                    failures += 1
                    await self._pause(disconnected, failures)
        finally:
            self._loop = None

    def _must_end(self) -> bool:
        return self._is_stopping

    async def _next(self, frames: AsyncGenerator[Frame, None]) -> Frame | None:
        """Return the next frame, or None when `stop` or `subscribe` interrupted the wait. Raises Disconnected."""
        frame = asyncio.ensure_future(frames.__anext__())
        woken = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait({frame, woken}, return_when=asyncio.FIRST_COMPLETED)
            return None if woken.done() else frame.result()
        finally:
            woken.cancel()
            frame.cancel()
            await asyncio.gather(frame, woken, return_exceptions=True)

    def _news(self, frame: Frame) -> Iterator[LiveEvent | Gap]:
        if isinstance(frame, Gap):
            yield frame
        elif isinstance(frame, Events):
            yield from frame.events

    def _record(self, frame: Frame) -> None:
        match frame:
            case Welcome(cursor):
                self._was_connected = True
                LOGGER.info("connected")
                self._cursor = cursor if self._cursor is None else self._cursor
            case Events(_, cursor):
                self._cursor = cursor
            case Behind():
                LOGGER.info("events arrive faster than handlers process them")

    async def _pause(self, disconnected: Disconnected, failures: int) -> None:
        seconds = disconnected.retry_after + self._reconnect.delay(failures)
        level = logging.WARNING if failures == 1 else logging.INFO
        LOGGER.log(level, "not connected (%s); retrying in %.1f s", disconnected, seconds)
        waiting = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait({waiting}, timeout=seconds)
        finally:
            waiting.cancel()


def get_event_bus(
    url: str | None = None,
    *,
    key: str | None = None,
    token: Token | None = None,
    transport: TransportName = "websocket",
    user_id: Id | None = None,
) -> EventBus:
    """Return the shared bus of this process for this configuration. Raises ConfigurationError."""
    return _bus_of(os.getpid(), _address(url, transport), _credential(token or key), transport, user_id)


@cache
def _bus_of(_process: int, url: str, token: Token, transport: TransportName, user_id: Id | None) -> EventBus:
    return EventBus(url, token=token, transport=transport, user_id=user_id)


def _address(url: str | None, transport: TransportName) -> str:
    variable = "REDIS_URL" if transport == "redis" else "ANALYTICS_DASHBOARD_URL"
    if not (address := url or os.environ.get(variable)):
        raise ConfigurationError(f"url is missing: pass it or set {variable}")
    return address


def _credential(token: Token | None) -> Token:
    return token or os.environ.get("ANALYTICS_READ_KEY", "")


def _source(url: str, token: Token, transport: TransportName, user_id: Id | None, ca_file: str | None) -> Source:
    if transport == "websocket":
        return SocketSource(url, token, None if user_id is None else _user(user_id), ca_file)
    if user_id is not None:
        raise ConfigurationError("user_id requires the transport websocket: Redis has only pseudonyms")
    try:
        from .live_redis import RedisSource
    except ImportError:
        raise ConfigurationError("the transport redis requires: pip install studyin-analytics-sdk[redis]") from None
    return RedisSource(url)


def _user(user_id: Id) -> str:
    if (text := id_text(user_id)) is None:
        raise ConfigurationError("user_id must be str, int or UUID")
    return text
