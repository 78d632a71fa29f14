"""The asynchronous and the synchronous tracker."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .books import Stats
from .client import Client
from .tracking import Call, Tracking
from .transport import Transport

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .options import OptionKeywords


class AnalyticsTracker(Tracking[Coroutine[Any, Any, str]]):
    """Tracks from coroutines. Awaiting a method queues its event and does not wait for the network.

    Takes the arguments of Client. Raises ConfigurationError.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        write_key: str | None = None,
        transport: Transport | None = None,
        **options: Unpack[OptionKeywords],
    ) -> None:
        self.client = Client(url, write_key=write_key, transport=transport, **options)

    async def _send(self, *calls: Call, answer: str | None = None) -> str:
        return send(self.client, calls, answer)

    async def flush(self, timeout: float = 10.0) -> bool:
        """Send all events now. Waits up to `timeout` seconds; returns whether each event has a verdict."""
        return await asyncio.to_thread(self.client.flush, timeout)

    async def shutdown(self, timeout: float = 10.0) -> bool:
        """Send all events and accept no more. Waits and returns like `flush`; another call returns the same."""
        return await asyncio.to_thread(self.client.shutdown, timeout)

    def stats(self) -> Stats:
        """Return the current numbers of events by outcome."""
        return self.client.stats()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.shutdown()


class SyncAnalyticsTracker(Tracking[str]):
    """Tracks from synchronous code, with the same methods. Takes the arguments of Client."""

    def __init__(
        self,
        url: str | None = None,
        *,
        write_key: str | None = None,
        transport: Transport | None = None,
        **options: Unpack[OptionKeywords],
    ) -> None:
        self.client = Client(url, write_key=write_key, transport=transport, **options)

    def _send(self, *calls: Call, answer: str | None = None) -> str:
        return send(self.client, calls, answer)

    def flush(self, timeout: float = 10.0) -> bool:
        """Send all events now. Waits up to `timeout` seconds; returns whether each event has a verdict."""
        return self.client.flush(timeout)

    def shutdown(self, timeout: float = 10.0) -> bool:
        """Send all events and accept no more. Waits and returns like `flush`; another call returns the same."""
        return self.client.shutdown(timeout)

    def stats(self) -> Stats:
        """Return the current numbers of events by outcome."""
        return self.client.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()


def send(client: Client, calls: tuple[Call, ...], answer: str | None) -> str:
    """Queue the events with a client; return `answer`, or the id of the first event."""
    ids = [
        client.track(call.event_type, user_id=call.user_id, properties=call.properties, **call.context)
        for call in calls
    ]
    return answer if answer is not None else ids[0]
