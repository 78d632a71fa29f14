"""Live events over Server-Sent Events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dashboard.live import frames
from dashboard.live.hub import Hub
from dashboard.live.session import End, Session, Subscription
from dashboard.live.subscriber_limits import SubscriberLimits

MEDIA_TYPE = "text/event-stream"


class LiveEventStream(Response):
    """An answer that lasts until the client leaves, its credentials end, or the service stops."""

    media_type = MEDIA_TYPE

    def __init__(self, hub: Hub, limits: SubscriberLimits, subscription: Subscription) -> None:
        # a proxy must not buffer the events
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._hub = hub
        self._limits = limits
        self._subscription = subscription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events. Raises Refusal or StreamUnavailable before anything is sent."""
        hub = self._hub
        async with contextlib.AsyncExitStack() as stack:
            release = stack.enter_context(self._limits.taken("sse", self._subscription.holder))
            await stack.enter_async_context(hub.joined())
            session = Session(hub, self._subscription)
            await stack.enter_async_context(_watched(receive, session, release))
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await _send(send, frames.RETRY)
            async for frame in await stack.enter_async_context(contextlib.aclosing(session.frames())):
                await _send(send, frame.event)
                hub.tally.sent("sse", len(frame.messages))
            if session.end is End.CREDENTIALS_ENDED:
                await _send(send, frames.expired(session.cursor).event)
            await send({"type": "http.response.body", "body": b""})


async def _send(send: Send, chunk: bytes) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


@contextlib.asynccontextmanager
async def _watched(receive: Receive, session: Session, release: Callable[[], None]) -> AsyncIterator[None]:
    """End the session when the client leaves during the block."""

    async def read() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        session.leave()
        release()

    reading = asyncio.create_task(read(), name="live-sse-reader")
    try:
        yield
    finally:
        reading.cancel()
        await asyncio.wait([reading])
