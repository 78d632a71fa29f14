"""Requests a page of a service as another client: on a new connection, from another address than the attacks."""

from __future__ import annotations

import asyncio
from typing import Final

from runtime.embedded.ports import LOOPBACK

ASKER: Final = "127.0.0.2"


async def ask(port: int, path: str) -> bytes:
    """Return the whole response including its head. Raises OSError when there is none."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port, local_addr=(ASKER, 0))
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()
