"""WebSocket with limits on the frames of a client and on the time it may read nothing.

uvicorn's protocol waits for a client forever, also while it closes. A client that does not read would keep the
connection and its buffer, and would delay the end of the process.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from web.server.connection_limits import ConnectionSlot
from web.server.write_timeout import WriteWatchdog

MAX_MESSAGE_BYTES: Final = 4 * 1024
"""Maximum message of a client. No message is expected."""

MAX_FRAMES: Final = 1_000
"""Burst of frames of a client, including pings and fragments. A connection that sends more is closed (1008)."""

FRAMES_PER_SECOND: Final = 50.0
"""Sustained rate of frames of a client."""

_SLICE_BYTES: Final = 4 * 1024
"""Bytes parsed at once. A read may hold tens of thousands of frames."""

PING_SECONDS: Final = 20.0
"""Interval of pings, and maximum time for the answer."""

_FAREWELL_SECONDS: Final = 2.0


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Aborts the connection of a client that does not read, and does not wait for clients on shutdown."""

    def __init__(self, *arguments: Any, slot: ConnectionSlot, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._slot = slot
        self._watchdog: WriteWatchdog | None = None
        self._frames_left = float(MAX_FRAMES)
        self._frames_counted_at = self.loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection from HTTP."""
        super().connection_made(transport)
        self._watchdog = WriteWatchdog(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the slot and stop the watchdog."""
        self._slot.release()
        if self._watchdog is not None:
            self._watchdog.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Make senders wait. The watchdog limits how long the client may read nothing."""
        super().pause_writing()
        # answers to further frames would only wait as well
        if not self.transport.is_closing():
            self.transport.pause_reading()
        if self._watchdog is not None:
            self._watchdog.begin()

    def resume_writing(self) -> None:
        """Let senders continue."""
        super().resume_writing()
        if not self.transport.is_closing():
            self.transport.resume_reading()
        if self._watchdog is not None:
            self._watchdog.end()

    def data_received(self, data: bytes) -> None:
        """Parse frames in slices, until the connection is closing."""
        if not self.handshake_initiated:
            super().data_received(data)
            if self.conn.handshake_exc is not None and not self.handshake_initiated:
                # the answer to a request that cannot be read: uvicorn sends answers to other requests only
                self.transport.write(b"".join(self.conn.data_to_send()))
                self.transport.close()
            return
        for start in range(0, len(data), _SLICE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _SLICE_BYTES])

    def handle_text(self, event: Frame) -> None:
        """Discard the frame: clients send nothing."""
        self._count_frame()

    def handle_bytes(self, event: Frame) -> None:
        """Discard the frame."""
        self._count_frame()

    def handle_cont(self, event: Frame) -> None:
        """Discard the frame: fragments without an end would fill the memory."""
        self._count_frame()

    def handle_pong(self, event: Frame) -> None:
        """Note that the client is alive."""
        self._count_frame()
        super().handle_pong(event)

    def handle_ping(self) -> None:
        """Answer, unless earlier answers are still waiting to be sent."""
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
        """Send a message of the application."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # the application refused the handshake: uvicorn would log an error
            self.handshake_complete = True

    def shutdown(self) -> None:
        """Close with 1012 (service restart). Abort after a grace time, whatever is still unsent."""
        super().shutdown()
        self.loop.call_later(_FAREWELL_SECONDS, self.transport.abort)
