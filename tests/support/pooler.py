"""A pooler before Postgres that pools transactions, as PgBouncer does: clients take turns on one session.

Like PgBouncer with `ignore_startup_parameters`, it drops the settings that a client asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from cli.local.embedded.ports import LOOPBACK

_CANCEL_ID = 7
"""Process id that clients are told, by which they might cancel a statement."""

_SSL_REQUEST = 80877103
_KEPT = {b"user", b"database"}


class Pooler:
    """Gives its clients one session in turn, a transaction at a time."""

    def __init__(self, url: str, *, refuses_settings: bool = False) -> None:
        """`url` is that of the database. PgBouncer refuses settings that it is not told to ignore."""
        self._refuses = refuses_settings
        self._place = urlsplit(url)
        self._turn = asyncio.Lock()
        self._server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._greeting = b""
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Pooler]:
        """Listen for the block."""
        server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        port = server.sockets[0].getsockname()[1]
        login = self._place.netloc.rpartition("@")[0]
        self.url = self._place._replace(netloc=f"{login}@{LOOPBACK}:{port}").geturl()
        try:
            yield self
        finally:
            server.close()
            if self._server is not None:
                self._server[1].transport.abort()

    async def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            async with self._turn:
                await self._greet(client, to_client)
            await self._take_turns(client, to_client)
        to_client.close()

    async def _greet(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        startup = await _unnamed(client)
        if struct.unpack("!i", startup[:4])[0] == _SSL_REQUEST:
            to_client.write(b"N")
            startup = await _unnamed(client)
        if self._refuses:
            body = b"SFATAL\0C08P01\0Munsupported startup parameter: lock_timeout\0\0"
            to_client.write(b"E" + struct.pack("!i", len(body) + 4) + body)
            raise ConnectionAbortedError
        if self._server is not None:
            to_client.write(self._greeting)
            return
        words = startup[4:].rstrip(b"\0").split(b"\0")
        kept = [word for pair in zip(words[::2], words[1::2], strict=True) if pair[0] in _KEPT for word in pair]
        startup = startup[:4] + b"\0".join(kept) + b"\0\0"
        reader, writer = await asyncio.open_connection(self._place.hostname, self._place.port)
        writer.write(struct.pack("!i", len(startup) + 4) + startup)
        await self._log_in(client, to_client, reader, writer)
        self._server = reader, writer

    async def _log_in(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        greeted = b"R" + struct.pack("!ii", 8, 0)
        while True:
            kind, body = await _named(reader)
            if kind == b"K":
                body = struct.pack("!ii", _CANCEL_ID, 0)
            message = kind + struct.pack("!i", len(body) + 4) + body
            to_client.write(message)
            if kind in b"SKZ":
                greeted += message
            if kind == b"Z":
                self._greeting = greeted
                return
            # requests for a password; 12 is the last word of the server, which needs no answer
            if kind == b"R" and struct.unpack("!i", body[:4])[0] not in (0, 12):
                answer, content = await _named(client)
                writer.write(answer + struct.pack("!i", len(content) + 4) + content)

    async def _take_turns(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Pass on one transaction after the other, until the client has gone."""
        assert self._server is not None
        reader, writer = self._server
        message = asyncio.create_task(_named(client))
        while (await message)[0] != b"X":
            async with self._turn:
                replies = asyncio.create_task(_pass_on_until_idle(reader, to_client))
                while not replies.done():
                    if message.done():
                        kind, body = message.result()
                        writer.write(kind + struct.pack("!i", len(body) + 4) + body)
                        message = asyncio.create_task(_named(client))
                    await asyncio.wait((message, replies), return_when=asyncio.FIRST_COMPLETED)


async def _pass_on_until_idle(reader: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
    """Pass on the replies of one transaction."""
    while True:
        kind, body = await _named(reader)
        to_client.write(kind + struct.pack("!i", len(body) + 4) + body)
        if (kind, body) == (b"Z", b"I"):
            return


async def _named(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    return kind, await _unnamed(reader)


async def _unnamed(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack("!i", await reader.readexactly(4))
    return await reader.readexactly(size - 4)
