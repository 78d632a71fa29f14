"""TLS in front of a server that was built without it, to test the clients.

For Postgres the proxy implements the beginning of the protocol: a client requests TLS in plain text (SSLRequest), and a
client that does not is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from cli.local.embedded.ports import LOOPBACK

_SSL_REQUEST = (8).to_bytes(4, "big") + (80_877_103).to_bytes(4, "big")


@asynccontextmanager
async def tls_front(url: str, context: ssl.SSLContext, *, postgres: bool = False) -> AsyncIterator[str]:
    """Accept only TLS for the server of `url` during the block. Yields host and port."""
    server = urlsplit(url)
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if postgres:
                if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                    writer.close()
                    return
                writer.write(b"S")
                await writer.start_tls(context)
            there = await asyncio.open_connection(server.hostname, server.port)
            await asyncio.gather(_pass(reader, there[1]), _pass(there[0], writer))
        connections.discard(task)

    listening = await asyncio.start_server(connected, LOOPBACK, 0, ssl=None if postgres else context)
    try:
        yield f"{LOOPBACK}:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def at(url: str, place: str, options: str = "", scheme: str | None = None) -> str:
    """Return the URL with another address, options or scheme."""
    address = urlsplit(url)
    login = address.netloc.rpartition("@")[0]
    return address._replace(
        scheme=scheme or address.scheme, netloc=f"{login}@{place}" if login else place, query=options
    ).geturl()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
