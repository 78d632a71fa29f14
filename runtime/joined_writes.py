"""A transport whose writes of one turn of the event loop leave as one packet.

uvicorn writes the head of an answer and its body apart, and uvloop sends each write at once: two system calls, two
packets, two records under TLS, and a client that wakes up twice.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

JOINED_BYTES: Final = 64 * 1024
"""Writes are gathered up to this size. A write this large is passed on as it is, without a copy."""


class JoinedWrites:
    """Stands for a transport; all but writing and closing is the transport's own."""

    __slots__ = ("_loop", "_parts", "_size", "is_closing", "transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._loop = loop
        self._parts: list[bytes | memoryview] = []
        self._size = 0
        # asked several times a request
        self.is_closing = transport.is_closing

    def write(self, data: bytes | memoryview) -> None:
        """Send at the end of this turn, after what was written before; at once when enough has gathered.

        A sender that is to stop while the client takes nothing is told so before its next write.
        """
        if len(data) >= JOINED_BYTES:
            self._send()
            self.transport.write(data)
            return
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)
        self._size += len(data)
        if self._size >= JOINED_BYTES:
            self._send()

    def close(self) -> None:
        """Send what was written, then close."""
        self._send()
        self.transport.close()

    def abort(self) -> None:
        """Close without sending anything more."""
        self._parts.clear()
        self._size = 0
        self.transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes were written and not sent."""
        return self._size + self.transport.get_write_buffer_size()

    def _send(self) -> None:
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self.transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)
