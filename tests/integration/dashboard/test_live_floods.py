"""A client that floods a WebSocket with frames and reads nothing uses a bounded buffer and is then disconnected."""

from __future__ import annotations

import contextlib
import socket
from typing import Any, Final

import pytest

from runtime.settings import Settings
from stream.server.connection import Redis
from tests.support.following import LIVE, SERVICE, about, following, received
from tests.support.timeline import publish
from tests.support.waiting import eventually
from web.server import http_server, websocket_protocol
from web.server.http_protocol import WRITE_BUFFER_BYTES
from web.server.websocket_protocol import MAX_FRAMES, BoundedWebSocketProtocol

HANDSHAKE: Final = (
    f"GET {LIVE} HTTP/1.1\r\nHost: x\r\nAuthorization: {SERVICE['Authorization']}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()
PING, PONG = 0x89, 0x8A
LONGEST_PAYLOAD: Final = 125
"""Size of a ping frame (RFC 6455), in bytes."""
LAST: Final = b"the last ping"


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a frame of a client, whose mask is zero."""
    return bytes((opcode, 0x80 | len(payload))) + bytes(4) + payload


class Flooder:
    """A raw socket with a small window, which reads only on request."""

    def __init__(self, place: str) -> None:
        host, _, port = place.partition(":")
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self._socket.connect((host, int(port)))
        self._socket.setblocking(False)
        self._socket.send(HANDSHAKE)
        self._unsent = b""
        self.is_cut_off = False

    def __enter__(self) -> Flooder:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def flood(self, frames: bytes) -> None:
        """Send as much as the kernel accepts now. Over several calls, only whole frames are sent."""
        try:
            for _ in range(16):
                self._unsent = self._unsent or frames
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except ConnectionError:
            self.is_cut_off = True

    def finish_with(self, last: bytes) -> None:
        """Send the rest of the flood, then a last frame."""
        self._unsent += last

    def push(self) -> None:
        """Send the rest, as far as the kernel accepts it."""
        with contextlib.suppress(BlockingIOError):
            self._unsent = self._unsent[self._socket.send(self._unsent) :]

    def read(self) -> bytes:
        """Return the data that can be read now."""
        try:
            return self._socket.recv(1024**2)
        except BlockingIOError:
            return b""


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[BoundedWebSocketProtocol]:
    """The server's end of each WebSocket, in the order of their handshakes."""
    made: list[BoundedWebSocketProtocol] = []

    class Recorded(BoundedWebSocketProtocol):
        def connection_made(self, transport: Any) -> None:
            made.append(self)
            super().connection_made(transport)

    monkeypatch.setattr(http_server, "BoundedWebSocketProtocol", Recorded)
    return made


@pytest.fixture
def unlimited_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lift the frame limit, to simulate a client that stays just below it."""
    monkeypatch.setattr(websocket_protocol, "MAX_FRAMES", 10**12)


PINGS: Final = frame(PING, b"x" * LONGEST_PAYLOAD)
FLOODS = {"pings": PINGS, "pongs": frame(PONG, b"x")}


@pytest.mark.parametrize("one", FLOODS.values(), ids=FLOODS.keys())
async def test_a_client_that_floods_without_reading_is_disconnected_and_others_are_served(
    settings: Settings, redis: Redis, connections: list[BoundedWebSocketProtocol], one: bytes
) -> None:
    async with following(settings) as service, service.socket() as neighbour:
        with Flooder(service.place) as flooder:
            await opened(connections, 2)

            def cut_off() -> bool:
                flooder.flood(one * (2 * MAX_FRAMES))
                return flooder.is_cut_off

            await eventually(cut_off)
            await eventually(lambda: connections[1].disconnected)
            assert connections[1].conn.close_sent is not None
            assert connections[1].conn.close_sent.code == 1008
        assert await publish(redis, [about(settings, "anna", 1)]) == await received(neighbour, 1)


@pytest.mark.usefixtures("unlimited_frames")
async def test_answers_to_pings_that_nobody_reads_do_not_grow(
    settings: Settings, connections: list[BoundedWebSocketProtocol]
) -> None:
    async with following(settings) as service:
        with Flooder(service.place) as flooder:
            await opened(connections, 1)
            [connection] = connections

            def is_left_waiting() -> bool:
                flooder.flood(PINGS * 2_000)
                return not connection.transport.is_reading()

            await eventually(is_left_waiting)
            # the high-water mark of writing, and the answer that exceeded it
            assert WRITE_BUFFER_BYTES < kept(connection) <= WRITE_BUFFER_BYTES + websocket_protocol._SLICE_BYTES
            # a client that reads again gets answers again
            flooder.finish_with(frame(PING, LAST))
            said = b""

            def is_answered() -> bool:
                nonlocal said
                flooder.push()
                said = said[-len(LAST) :] + flooder.read()
                return LAST in said

            await eventually(is_answered)
            assert not flooder.is_cut_off


async def opened(connections: list[BoundedWebSocketProtocol], count: int) -> None:
    await eventually(lambda: len(connections) == count and connections[-1].handshake_complete)


def kept(connection: BoundedWebSocketProtocol) -> int:
    """Return the number of unsent bytes in this process. Asserts that none wait for the application."""
    assert (connection.frames, connection.conn.writes, connection.queue.qsize()) == ([], [], 0)
    return connection.transport.get_write_buffer_size()
