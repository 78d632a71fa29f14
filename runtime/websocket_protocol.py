"""WebSocket with limits: on what a client may send, and on how long it may take nothing.

uvicorn's protocol waits for a client for ever, also while it closes; one that reads nothing would hold the connection,
what waits in it, and the end of the process.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from runtime.connection_limits import Place
from runtime.stalled_writes import StalledWrites

MAX_MESSAGE_BYTES: Final = 4 * 1024
"""Of what a client sends; nothing it could say is longer."""

MAX_FRAMES: Final = 1_000
"""Frames a client may send at once, pings and fragments included; a connection that sends more is closed (1008)."""

FRAMES_PER_SECOND: Final = 50.0
"""Frames it may send in the long run."""

_SLICE_BYTES: Final = 4 * 1024
"""Parsed at once: a read may hold tens of thousands of frames."""

PING_SECONDS: Final = 20.0
"""How often a client is pinged, and how long it may take to answer."""

_FAREWELL_SECONDS: Final = 2.0


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Cuts off a client that takes nothing, and waits for none when the connection is to end."""

    def __init__(self, *arguments: Any, place: Place, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._place = place
        self._stalled: StalledWrites | None = None
        self._frames_left = float(MAX_FRAMES)
        self._frames_counted_at = self.loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection from HTTP."""
        super().connection_made(transport)
        self._stalled = StalledWrites(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._place.release()
        if self._stalled is not None:
            self._stalled.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Let senders wait, for as long as the client takes something."""
        super().pause_writing()
        # an answer to whatever it sends now would only wait as well
        if not self.transport.is_closing():
            self.transport.pause_reading()
        if self._stalled is not None:
            self._stalled.begin()

    def resume_writing(self) -> None:
        """Let senders go on."""
        super().resume_writing()
        if not self.transport.is_closing():
            self.transport.resume_reading()
        if self._stalled is not None:
            self._stalled.end()

    def data_received(self, data: bytes) -> None:
        """Take frames, until there were too many of them."""
        if not self.handshake_initiated:
            super().data_received(data)
            return
        for start in range(0, len(data), _SLICE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _SLICE_BYTES])

    def handle_text(self, event: Frame) -> None:
        """Throw away what a client says: nothing is expected of it."""
        self._count_frame()

    def handle_bytes(self, event: Frame) -> None:
        """Throw it away."""
        self._count_frame()

    def handle_cont(self, event: Frame) -> None:
        """Throw it away; gathered fragments without an end would grow."""
        self._count_frame()

    def handle_pong(self, event: Frame) -> None:
        """Note that the client is there."""
        self._count_frame()
        super().handle_pong(event)

    def handle_ping(self) -> None:
        """Answer, unless the client has not taken the answers before: then this one would only wait with them."""
        self._count_frame()
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set() and not self.transport.is_closing():
            self.transport.write(pong)

    def _count_frame(self) -> None:
        now = self.loop.time()
        refilled = self._frames_left + (now - self._frames_counted_at) * FRAMES_PER_SECOND
        self._frames_left = min(float(MAX_FRAMES), refilled) - 1
        self._frames_counted_at = now
        if self._frames_left < 0 and not self.close_sent and not self.transport.is_closing():
            self.conn.fail(CloseCode.POLICY_VIOLATION, "too many frames")
            self.handle_parser_exception()
            self.loop.call_later(_FAREWELL_SECONDS, self.transport.abort)

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
