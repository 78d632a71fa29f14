"""HTTP/1.1 with limits on the request line, headers, trailers and chunk framing, and on the time of a request.

uvicorn's httptools protocol buffers them without a limit of bytes or time: one connection could fill the memory, and
many could wait forever. This protocol limits the time of a body; the application limits its size. It also closes the
connection of a client that does not read its answers.

llhttp stops at the head of a request that offers an upgrade, and uvicorn then drops the body. This protocol ignores the
offer, as RFC 9110 allows, unless it is a WebSocket handshake on the WebSocket path. A request that cannot be parsed is
answered with a problem document, after the answers to the requests before it.

uvicorn appends chunked trailers to the headers that the application already has. This protocol drops them and limits
their size as it limits a head, whether or not they arrive in the same read.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from web.problems import Refusal
from web.request_id import new_request_id
from web.server.connection_limits import ConnectionSlot
from web.server.protocol_errors import (
    BODY_SECONDS,
    HEAD_SECONDS,
    HEADERS_TOO_LARGE,
    MALFORMED,
    MAX_HEAD_BYTES,
    MAX_TARGET_BYTES,
    NO_TUNNEL,
    TOO_MANY_PIPELINED,
    TOO_SLOW,
    URI_TOO_LONG,
    render_refusal,
)
from web.server.refusal_log import RefusalLog
from web.server.request_head import head_fault, trailer_fault
from web.server.websocket_handshake import is_handshake
from web.server.write_coalescing import CoalescingTransport
from web.server.write_timeout import WriteWatchdog

_FAREWELL_SECONDS: Final = 1.0

_MAKE_ROOM_SECONDS: Final = 0.05
"""Grace time before an idle connection that makes room for another is aborted."""

MAX_PIPELINED: Final = 32
"""Maximum requests that wait for the answer to an earlier one. More end the connection after those."""

_FIELD_FRAMING_BYTES: Final = 3
"""Size of the colon and the line end."""

WRITE_BUFFER_BYTES: Final = 64 * 1024
"""Unsent bytes beyond which the application waits. The loop's default under TLS is eight times as much."""


class _Unservable(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class _Trailers(list[tuple[bytes, bytes]]):
    """Trailers of one request. `append` raises _Unservable once they have more bytes than a head may have."""

    _bytes = 0

    def append(self, trailer: tuple[bytes, bytes]) -> None:
        self._bytes += len(trailer[0]) + len(trailer[1]) + _FIELD_FRAMING_BYTES
        if self._bytes > MAX_HEAD_BYTES:
            raise _Unservable(HEADERS_TOO_LARGE)
        super().append(trailer)


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection that exceeds the limits of a head, sends too slowly, or does not read."""

    websocket_path: str | None = None
    """Path of the WebSocket; None: there is none."""
    refusal_log: RefusalLog
    is_draining = False
    """Whether connections close after their next answer. An attribute of the class: of all connections of a server."""

    def __init__(self, *arguments: Any, slot: ConnectionSlot, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._slot = slot
        self.url = b""
        self._is_in_head = True
        self._is_in_body = False
        self._is_refused = False
        self._running: RequestResponseCycle | None = None
        """The request that is being answered. uvicorn's `cycle` is the last one received."""
        self._farewell: Refusal | None = None
        """Answer that ends the connection after the answers to earlier requests."""
        self._crosses_border = False
        self._is_large_read = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._framing_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._watchdog: WriteWatchdog | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the timeout of the first head."""
        # implements the part of a transport that uvicorn uses
        joined: Any = CoalescingTransport(transport, self.loop)
        super().connection_made(joined)
        self._slot.close = self._make_room
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._watchdog = WriteWatchdog(self.transport)
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers. Tell the application of every unfinished request that the client is gone."""
        self._slot.release()
        self._stop_waiting()
        if self._watchdog is not None:
            self._watchdog.end()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def pause_writing(self) -> None:
        """Make the application wait. The watchdog limits how long the client may read nothing."""
        super().pause_writing()
        if self._watchdog is not None:
            self._watchdog.begin()

    def resume_writing(self) -> None:
        """Let the application continue."""
        super().resume_writing()
        if self._watchdog is not None:
            self._watchdog.end()
        if self._running is not None and self._running.response_complete and not self.pipeline:
            self._slot.idle()

    def drain(self) -> None:
        """Close the connection after the running request, if its answer can still say so and no other request waits."""
        running = self._running
        if running is not None and not (running.response_started or self.pipeline):
            running.keep_alive = False

    def shutdown(self) -> None:
        """Close an idle connection, within a second even if its client does not answer the TLS close."""
        super().shutdown()
        if self._watchdog is not None:
            self._watchdog.hurry()
        if self.transport.is_closing():
            self.loop.call_later(_FAREWELL_SECONDS, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Parse, then check the size of everything except the body."""
        if self._is_refused:
            # the connection ends after the answers to earlier requests
            return
        self._crosses_border = False
        self._is_large_read = len(data) > MAX_HEAD_BYTES
        body_before = self._body_bytes
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            # the parser hides exceptions of its callbacks
            cause = error.__context__
            self._refuse(cause.refusal if isinstance(cause, _Unservable) else MALFORMED)
            return
        # most requests arrive in one read and need no timer
        if self._deadline is None and (self._is_in_head or self._is_in_body):
            self._wait(HEAD_SECONDS if self._is_in_head else BODY_SECONDS)
        if self._crosses_border:
            # a read in which a head begins or ends may also hold other data, such as the previous body
            return
        if self._is_in_head:
            self._head_bytes += len(data)
        else:
            self._framing_bytes += len(data) - (self._body_bytes - body_before)
        if self._head_bytes > MAX_HEAD_BYTES or self._framing_bytes > MAX_HEAD_BYTES + self._body_bytes:
            is_target = self._is_in_head and len(self.url) > MAX_TARGET_BYTES
            self._refuse(URI_TOO_LONG if is_target else HEADERS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Start counting the bytes of a message."""
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = self._body_bytes = self._framing_bytes = 0
        self._stop_waiting()

    def on_headers_complete(self) -> None:
        """Pass the request to the application, unless its head is invalid or too large."""
        if len(self.url) > MAX_TARGET_BYTES:
            raise _Unservable(URI_TOO_LONG)
        if self._is_large_read and sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise _Unservable(HEADERS_TOO_LARGE)
        if fault := head_fault(self.parser.get_http_version(), self.headers):
            raise _Unservable(fault)
        if self.parser.should_upgrade() and not self._should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise _Unservable(NO_TUNNEL)
            # the parser stops here; `_parse` feeds it the same head again without the offer
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            # one read may hold thousands of requests
            raise _Unservable(TOO_MANY_PIPELINED)
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            # headers after this point are trailers; the application keeps its own list
            self.headers = _Trailers()
        self._slot.busy()
        self._is_in_head = False
        self._is_in_body = self._crosses_border = True
        self._stop_waiting()

    def on_body(self, body: bytes) -> None:
        """Count the bytes of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the timer: the request is complete."""
        if self.parser.should_upgrade():
            # only the head is complete
            return
        if self.headers and (fault := trailer_fault(self.headers)):
            raise _Unservable(fault)
        self._is_in_body = False
        self._crosses_border = True
        self._stop_waiting()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        if self.is_draining and not self.pipeline:
            cycle.keep_alive = False
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Continue with the next request, or end the connection if the next request was refused."""
        if self._farewell is None or self.pipeline or self.transport.is_closing():
            if not self.pipeline and not self.flow.write_paused:
                self._slot.idle()
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self._end_with(self._farewell)

    def handle_websocket_upgrade(self) -> None:
        """Hand over the connection without write coalescing: a frame is one write."""
        self._stop_waiting()
        self._is_in_head = self._is_in_body = False
        joined: Any = self.transport
        self.transport = joined.transport
        self._slot.busy()
        protocol: Any = self.ws_protocol_class
        made: Any = partial(protocol, slot=self._slot)
        self.ws_protocol_class = made
        super().handle_websocket_upgrade()

    def _should_upgrade(self) -> bool:
        return (
            self.websocket_path is not None
            # frames must not overtake the answer to an earlier request
            and (self._running is None or self._running.response_complete)
            # as for other paths, one additional slash makes no difference
            and self.url.partition(b"?")[0].removesuffix(b"/") == self.websocket_path.encode()
            and is_handshake(self.parser.get_method(), self.parser.get_http_version(), self.headers)
        )

    def _parse(self, data: bytes | memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as stop:
                data = memoryview(data)[stop.args[0] :]
            else:
                return
            if self._should_upgrade():
                self.handle_websocket_upgrade()
                return
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            # as uvicorn does: a client may send data after a request that ends the connection
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _make_room(self) -> None:
        # data that the client can still receive is sent
        self.transport.close()
        self.loop.call_later(_MAKE_ROOM_SECONDS, self.transport.abort)

    def _wait(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._refuse, TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, refusal: Refusal) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        self._is_refused = True
        if self._is_in_body and self.pipeline:
            # the request was waiting for its turn
            self.pipeline.popleft()
        elif self._is_in_body and self.cycle.response_started:
            # the request was answered before its body was read; it is not answered twice
            self.transport.close()
            return
        elif self._is_in_body or self._running is None or self._running.response_complete:
            self._end_with(refusal)
            return
        # an answer now would be read as the answer to an earlier request
        self._farewell = refusal

    def _end_with(self, refusal: Refusal) -> None:
        request_id = new_request_id()
        self.refusal_log.refused(refusal.code, request_id)
        self.transport.write(render_refusal(refusal, request_id))
        self.transport.close()
