"""HTTP/1.1 with limits on what is no body: the request line and headers, trailers, the framing of chunks.

uvicorn's httptools protocol gathers them without a limit of bytes or time, so one connection could fill the memory and
many could wait for ever. The size of a body is limited by whoever reads it, its time here. Nor does uvicorn give up on
a client that takes nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runtime.joined_writes import JoinedWrites
from runtime.stalled_writes import StalledWrites

MAX_HEAD_BYTES: Final = 32 * 1024
"""Of the request line and the headers, give or take one read; as much again may frame a body, beside its own size."""

HEAD_SECONDS: Final = 30.0
"""From the connection, or from a head's first byte, to its end."""

BODY_SECONDS: Final = 30.0
"""From the end of a head to that of its body."""

_FAREWELL_SECONDS: Final = 1.0
_TOO_LARGE: Final = b"431 Request Header Fields Too Large"
_TOO_SLOW: Final = b"408 Request Timeout"


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection that sends too much beside a body, or anything too slowly, or takes nothing."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._is_in_head = True
        self._is_in_body = False
        self._crosses_border = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._framing_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: StalledWrites | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        # as much of a transport as uvicorn asks for
        joined: Any = JoinedWrites(transport, self.loop)
        super().connection_made(joined)
        self._stalled = StalledWrites(self.transport)
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        if self._stalled is not None:
            self._stalled.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Let the application wait, for as long as the client takes something."""
        super().pause_writing()
        if self._stalled is not None:
            self._stalled.begin()

    def resume_writing(self) -> None:
        """Let the application go on."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.end()

    def shutdown(self) -> None:
        """Close an idle connection, within a second also when its client does not answer the end of TLS."""
        super().shutdown()
        if self._stalled is not None:
            self._stalled.hurry()
        if self.transport.is_closing():
            self.loop.call_later(_FAREWELL_SECONDS, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Parse, then judge how much of it was no body."""
        self._crosses_border = False
        body_before = self._body_bytes
        super().data_received(data)
        # most requests come whole and need no timer
        if self._deadline is None and (self._is_in_head or self._is_in_body):
            self._wait(HEAD_SECONDS if self._is_in_head else BODY_SECONDS)
        if self._crosses_border:
            # a read in which a head begins or ends may hold much of something else, such as the last body
            return
        if self._is_in_head:
            self._head_bytes += len(data)
        else:
            self._framing_bytes += len(data) - (self._body_bytes - body_before)
        if self._head_bytes > MAX_HEAD_BYTES or self._framing_bytes > MAX_HEAD_BYTES + self._body_bytes:
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._is_in_head = self._crosses_border = True
        self._head_bytes = self._body_bytes = self._framing_bytes = 0
        self._stop_waiting()

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        self._is_in_head = False
        self._is_in_body = self._crosses_border = True
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count what is body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop waiting: the rest is up to the application."""
        self._is_in_body = False
        self._stop_waiting()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over as it is: a frame is one write."""
        self._stop_waiting()
        self._is_in_body = False
        joined: Any = self.transport
        self.transport = joined.transport
        super().handle_websocket_upgrade()

    def _wait(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._refuse, _TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: bytes) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        # a body nobody waited for was answered already, and is not answered twice
        if not (self._is_in_body and self.cycle.response_started):
            self.transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        self.transport.close()
