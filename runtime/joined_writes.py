"""A transport whose writes of one turn of the event loop leave as one packet.

uvicorn writes the head of an answer and its body apart, and uvloop sends each write at once: two system calls, two
packets, two records under TLS, and a client that wakes up twice.
"""

from __future__ import annotations

import asyncio
from typing import Any


class JoinedWrites:
    """Stands for a transport; all but writing and closing is the transport's own."""

    __slots__ = ("_loop", "_parts", "is_closing", "transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        # asked several times a request
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Send at the end of this turn, after what was written before."""
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)

    def close(self) -> None:
        """Send what was written, then close."""
        self._send()
        self.transport.close()

    def abort(self) -> None:
        """Close without sending anything more."""
        self._parts.clear()
        self.transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes were written and not sent."""
        return sum(map(len, self._parts)) + self.transport.get_write_buffer_size()

    def _send(self) -> None:
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self.transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)
