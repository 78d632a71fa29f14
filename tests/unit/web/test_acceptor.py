"""A process that cannot accept connections waits until it can; open connections continue."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cli.local.embedded.ports import LOOPBACK
from web.server import acceptor
from web.server.acceptor import Acceptor
from web.server.connection_limits import ConnectionLimits, ConnectionSlot

SHORTAGES = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]


class Short(socket.socket):
    """A listening socket whose first `failures` accepts fail."""

    code = 0
    failures = 0

    def accept(self) -> Any:
        if self.failures:
            self.failures -= 1
            raise OSError(self.code, os.strerror(self.code))
        return super().accept()


class Observer:
    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()

    def opened(self, change: int) -> None: ...

    def refused(self, reason: str) -> None:
        self.reasons[reason] += 1


class Echo(asyncio.Protocol):
    def __init__(self, slot: ConnectionSlot) -> None:
        self._slot = slot
        # no other connection gets its descriptor
        slot.busy()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._slot.release()


@asynccontextmanager
async def accepting(limits: ConnectionLimits) -> AsyncIterator[Short]:
    with Short() as listening:
        listening.bind((LOOPBACK, 0))
        server = Acceptor(listening, limits, Echo, None)
        server.start(100)
        yield listening
        server.close()
        await server.wait_closed()


async def echoed(listening: socket.socket) -> bytes:
    """Return the answer to a new connection."""
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(b"x")
    try:
        return await reader.readexactly(1)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("code", SHORTAGES, ids=[errno.errorcode[code] for code in SHORTAGES])
async def test_a_shortage_is_waited_out_and_logged_once(
    code: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acceptor, "_PAUSE_SECONDS", 0.001)
    caplog.set_level(logging.WARNING, "uvicorn.error")
    observer = Observer()
    async with accepting(ConnectionLimits(10, None, observer=observer)) as listening:
        listening.code, listening.failures = code, 5
        assert await echoed(listening) == b"x"
        listening.failures = 5
        assert await echoed(listening) == b"x"
    assert observer.reasons == {"descriptors": 10}
    assert [record.getMessage() for record in caplog.records] == [f"cannot accept connections: {os.strerror(code)}"]


async def test_the_connection_that_is_idle_longest_gives_its_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "_PAUSE_SECONDS", 0.001)
    limits = ConnectionLimits(10, None)
    idle, busy = limits.acquire("192.0.2.1"), limits.acquire("192.0.2.2")
    busy.busy()
    async with accepting(limits) as listening:
        listening.code, listening.failures = errno.EMFILE, 1
        assert await echoed(listening) == b"x"
    assert (idle.is_open, busy.is_open) == (False, True)
