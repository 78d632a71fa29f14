"""A faulty network: a TCP proxy that swallows, drops replies, delays and cuts. Modelled on toxiproxy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import Enum, auto
from urllib.parse import urlsplit, urlunsplit

from runtime.embedded.ports import LOOPBACK

DELAY_SECONDS = 0.3
_CHUNK = 65_536


class Fault(Enum):
    """A network fault."""

    #: nothing arrives in either direction, without an error
    SWALLOW = auto()
    #: requests arrive, replies do not
    DROP_REPLIES = auto()
    #: everything arrives late
    DELAY = auto()
    #: connections are reset, new ones at once
    CUT = auto()


class Proxy:
    """Forwards to one server. A connection that lost bytes stays dead after the fault, as a real one would."""

    def __init__(self, url: str) -> None:
        """`url` is that of the server."""
        self._server_url = urlsplit(url)
        self._fault: Fault | None = None
        self._hold_at: bytes | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self.url = ""
        """The URL of the proxy: that of the server with another port."""
        self.lost_connections = 0
        """Number of clients that gave up or were cut off."""

    def break_down(self, fault: Fault) -> None:
        """Apply a fault from now on."""
        self._fault = fault
        if fault is Fault.CUT:
            self.cut()

    def heal(self) -> None:
        """End the fault. Swallowed bytes stay lost."""
        self._fault = None

    def hold_at(self, word: bytes) -> None:
        """Forward the next request that contains the word, and nothing that its client sends after it."""
        self._hold_at = word

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._open:
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        """Listen for the block."""
        server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        port = server.sockets[0].getsockname()[1]
        credentials, _, _ = self._server_url.netloc.rpartition("@")
        self.url = urlunsplit(self._server_url._replace(netloc=f"{credentials}@{LOOPBACK}:{port}"))
        try:
            yield self
        finally:
            server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(client, to_client))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._open.add(to_client)
        try:
            if self._fault is not Fault.CUT:
                await self._forward(client, to_client)
        except OSError:
            # the server is unreachable; the client's connection is closed
            pass
        finally:
            self._open.discard(to_client)
            self.lost_connections += 1
            to_client.transport.abort()

    async def _forward(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(self._server_url.hostname, self._server_url.port)
        requests = asyncio.create_task(self._pump(client, to_server, {Fault.SWALLOW}))
        replies = asyncio.create_task(self._pump(server, to_client, {Fault.SWALLOW, Fault.DROP_REPLIES}))
        try:
            await asyncio.wait((requests, replies), return_when=asyncio.FIRST_COMPLETED)
        finally:
            to_server.transport.abort()
            for task in (requests, replies):
                task.cancel()
            await asyncio.gather(requests, replies, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, deadly: set[Fault]) -> None:
        dead = False
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_CHUNK):
                if self._fault is Fault.DELAY:
                    await asyncio.sleep(DELAY_SECONDS)
                dead = dead or self._fault in deadly
                if dead:
                    continue
                target.write(data)
                await target.drain()
                if self._hold_at is not None and self._hold_at in data:
                    self._hold_at = None
                    dead = True
