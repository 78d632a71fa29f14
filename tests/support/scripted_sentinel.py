"""A sentinel that names one server, for what real ones cannot show: valkey-server of the wheel has no TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from cli.local.embedded.ports import LOOPBACK


@asynccontextmanager
async def sentinel_that_names(port: int, service: str) -> AsyncIterator[str]:
    """Name the server at a port of this machine for the block. Yields the URL of the sentinel."""
    facts = {"name": service, "ip": LOOPBACK, "port": str(port), "flags": "master", "num-other-sentinels": "0"}
    words = [word for fact in facts.items() for word in fact]
    masters = f"*1\r\n*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    replies = {b"SENTINEL": masters.encode(), b"PING": b"+PONG\r\n"}
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                command = [await _word(reader) for _ in range(count)]
                writer.write(replies.get(command[0], b"+OK\r\n"))
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    try:
        yield f"redis://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _word(reader: asyncio.StreamReader) -> bytes:
    size = int((await reader.readuntil(b"\r\n"))[1:])
    return (await reader.readexactly(size + 2))[:size]
