"""WebSocket with limits: on what a client may send, and on how long it may take nothing.

uvicorn's protocol waits for a client for ever, also while it closes; one that reads nothing would hold the connection,
what waits in it, and the end of the process.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from runtime.stalled_writes import StalledWrites

MAX_MESSAGE_BYTES: Final = 4 * 1024
"""Of what a client sends; nothing it could say is longer."""

PING_SECONDS: Final = 20.0
"""How often a client is pinged, and how long it may take to answer."""

_FAREWELL_SECONDS: Final = 2.0


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Cuts off a client that takes nothing, and waits for none when the connection is to end."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._stalled: StalledWrites | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection from HTTP."""
        super().connection_made(transport)
        self._stalled = StalledWrites(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        if self._stalled is not None:
            self._stalled.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Let senders wait, for as long as the client takes something."""
        super().pause_writing()
        if self._stalled is not None:
            self._stalled.begin()

    def resume_writing(self) -> None:
        """Let senders go on."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.end()

    async def send(self, message: Any) -> None:
        """Send what the application says."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # refused in good order: uvicorn would log an error for want of a handshake
            self.handshake_complete = True

    def shutdown(self) -> None:
        """Say that the service restarts (1012), and leave soon, whatever the client still has to take."""
        super().shutdown()
        self.loop.call_later(_FAREWELL_SECONDS, self.transport.abort)
