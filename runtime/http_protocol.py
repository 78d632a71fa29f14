"""HTTP/1.1 with limits on what is no body: the request line and headers, trailers, the framing of chunks.

uvicorn's httptools protocol gathers them without a limit of bytes or time, so one connection could fill the memory and
many could wait for ever. The size of a body is limited by whoever reads it, its time here. Nor does uvicorn give up on
a client that takes nothing.

llhttp stops at the head of a request that offers an upgrade, and uvicorn then drops the body. Here such an offer is
ignored, as RFC 9110 allows, unless it is a WebSocket handshake on the path that has a WebSocket. A request that cannot
be parsed is answered with a problem document, after the requests before it.

uvicorn appends chunked trailers to the headers that the application already has. Here they are dropped, and limited in
size as a head is, whether they come with it in one read or later.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from runtime.connection_limits import Place
from runtime.connection_refusal import (
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
    rendered,
)
from runtime.joined_writes import JoinedWrites
from runtime.refusal import Refusal
from runtime.refusal_log import RefusalLog
from runtime.request_head import head_fault, trailer_fault
from runtime.request_id import new_request_id
from runtime.stalled_writes import StalledWrites
from runtime.websocket_handshake import is_handshake

_FAREWELL_SECONDS: Final = 1.0

_MAKE_ROOM_SECONDS: Final = 0.05
"""Until the connection of an idle client is gone that another one needs."""

MAX_PIPELINED: Final = 32
"""Requests that may wait for the answer to one before them; the connection ends after those."""

_FIELD_FRAMING_BYTES: Final = 3
"""The colon and the end of the line."""

WRITE_BUFFER_BYTES: Final = 64 * 1024
"""Unsent bytes past which the application waits. Under TLS the loop's own default is eight times as much."""


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
    """Closes a connection that sends too much beside a body, or anything too slowly, or takes nothing."""

    websocket_path: str | None = None
    """Where a WebSocket may be opened; None: nowhere."""
    refusal_log: RefusalLog

    def __init__(self, *arguments: Any, place: Place, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._place = place
        self.url = b""
        self._is_in_head = True
        self._is_in_body = False
        self._is_refused = False
        self._running: RequestResponseCycle | None = None
        """The request that is being answered; uvicorn's own `cycle` is the last that came."""
        self._farewell: Refusal | None = None
        """Why the connection ends, once the requests before are answered."""
        self._crosses_border = False
        self._is_large_read = False
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
        self._place.close = self._make_room
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._stalled = StalledWrites(self.transport)
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and tell the application, of the request before one that waits for its turn too."""
        self._place.release()
        self._stop_waiting()
        if self._stalled is not None:
            self._stalled.end()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

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
        if self._running is not None and self._running.response_complete and not self.pipeline:
            self._place.idle()

    def shutdown(self) -> None:
        """Close an idle connection, within a second also when its client does not answer the end of TLS."""
        super().shutdown()
        if self._stalled is not None:
            self._stalled.hurry()
        if self.transport.is_closing():
            self.loop.call_later(_FAREWELL_SECONDS, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Parse, then judge how much of it was no body."""
        if self._is_refused:
            # the connection ends once the requests before are answered
            return
        self._crosses_border = False
        self._is_large_read = len(data) > MAX_HEAD_BYTES
        body_before = self._body_bytes
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            # the parser hides what was raised inside one of its callbacks
            cause = error.__context__
            self._refuse(cause.refusal if isinstance(cause, _Unservable) else MALFORMED)
            return
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
            is_target = self._is_in_head and len(self.url) > MAX_TARGET_BYTES
            self._refuse(URI_TOO_LONG if is_target else HEADERS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin to count, unless this read holds the end of another message too."""
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = self._body_bytes = self._framing_bytes = 0
        self._stop_waiting()

    def on_headers_complete(self) -> None:
        """Go on to the body, unless the request is one that no application can be given."""
        if len(self.url) > MAX_TARGET_BYTES:
            raise _Unservable(URI_TOO_LONG)
        if self._is_large_read and sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise _Unservable(HEADERS_TOO_LARGE)
        if fault := head_fault(self.parser.get_http_version(), self.headers):
            raise _Unservable(fault)
        if self.parser.should_upgrade() and not self._should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise _Unservable(NO_TUNNEL)
            # the parser stops here; `_parse` gives it the same head again, without the offer
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            # one read may hold thousands of requests
            raise _Unservable(TOO_MANY_PIPELINED)
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            # what the parser calls a header from here on is a trailer; the application keeps the list it has
            self.headers = _Trailers()
        self._place.busy()
        self._is_in_head = False
        self._is_in_body = self._crosses_border = True
        self._stop_waiting()

    def on_body(self, body: bytes) -> None:
        """Count what is body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop waiting: the rest is up to the application."""
        if self.parser.should_upgrade():
            # only the head is over
            return
        if self.headers and (fault := trailer_fault(self.headers)):
            raise _Unservable(fault)
        self._is_in_body = False
        self._crosses_border = True
        self._stop_waiting()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on to the next request; end the connection after the last answer before one that was refused."""
        if self._farewell is None or self.pipeline or self.transport.is_closing():
            if not self.pipeline and not self.flow.write_paused:
                self._place.idle()
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self._end_with(self._farewell)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over as it is: a frame is one write."""
        self._stop_waiting()
        self._is_in_head = self._is_in_body = False
        joined: Any = self.transport
        self.transport = joined.transport
        self._place.busy()
        protocol: Any = self.ws_protocol_class
        made: Any = partial(protocol, place=self._place)
        self.ws_protocol_class = made
        super().handle_websocket_upgrade()

    def _should_upgrade(self) -> bool:
        return (
            self.websocket_path is not None
            # behind a request that is still being answered, the frames would overtake the answer
            and (self._running is None or self._running.response_complete)
            and self.url.partition(b"?")[0] == self.websocket_path.encode()
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
            # as uvicorn's own: a client may send more behind a request that ends the connection
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _make_room(self) -> None:
        # what the client has room for still reaches it
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
            # it was waiting for its turn
            self.pipeline.popleft()
        elif self._is_in_body and self.cycle.response_started:
            # a body nobody waited for was answered already, and is not answered twice
            self.transport.close()
            return
        elif self._is_in_body or self._running is None or self._running.response_complete:
            self._end_with(refusal)
            return
        # an answer now would be taken for that of a request before
        self._farewell = refusal

    def _end_with(self, refusal: Refusal) -> None:
        request_id = new_request_id()
        self.refusal_log.refused(refusal.code, request_id)
        self.transport.write(rendered(refusal, request_id))
        self.transport.close()
