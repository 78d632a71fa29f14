"""A transport that joins the writes of one turn of the event loop into one packet.

uvicorn writes the head of an answer and its body separately, and uvloop sends each write at once: two system calls, two
packets, two TLS records, and a client that wakes up twice.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

COALESCED_BYTES: Final = 64 * 1024
"""Writes are joined up to this size. A larger write is passed on without a copy."""


class CoalescingTransport:
    """Wraps a transport. Everything except writing and closing is the transport's own."""

    __slots__ = ("_loop", "_parts", "_size", "is_closing", "transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._loop = loop
        self._parts: list[bytes | memoryview] = []
        self._size = 0
        # called several times a request
        self.is_closing = transport.is_closing

    def write(self, data: bytes | memoryview) -> None:
        """Buffer the data and send it at the end of this turn, or at once when the buffer is full.

        A full transport pauses its sender before the next write.
        """
        if len(data) >= COALESCED_BYTES:
            self._send()
            self.transport.write(data)
            return
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)
        self._size += len(data)
        if self._size >= COALESCED_BYTES:
            self._send()

    def close(self) -> None:
        """Send the buffered data, then close."""
        self._send()
        self.transport.close()

    def abort(self) -> None:
        """Close without sending the buffered data."""
        self._parts.clear()
        self._size = 0
        self.transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that are written and not sent."""
        return self._size + self.transport.get_write_buffer_size()

    def _send(self) -> None:
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self.transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)
