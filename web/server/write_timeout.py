"""Closes connections whose client does not read. Their unsent data would stay in memory forever."""

from __future__ import annotations

import asyncio
from typing import Final

STALLED_SECONDS: Final = 30.0
"""Maximum time without progress while data is waiting to be sent."""

LEAVING_SECONDS: Final = 2.0
"""The same during shutdown."""


class WriteWatchdog:
    """Watches the writes of one connection and aborts the connection when none makes progress."""

    def __init__(self, transport: asyncio.Transport, seconds: float = STALLED_SECONDS) -> None:
        self._transport = transport
        self._seconds = seconds
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Start watching: writes are waiting."""
        self._waiting = self._transport.get_write_buffer_size()
        self._arm()

    def end(self) -> None:
        """Stop watching: no write is waiting, or the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hurry(self) -> None:
        """Shorten the timeout for shutdown."""
        self._seconds = min(self._seconds, LEAVING_SECONDS)
        if self._transport.get_write_buffer_size():
            self.begin()

    def _arm(self) -> None:
        self.end()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._check)

    def _check(self) -> None:
        waiting = self._transport.get_write_buffer_size()
        if waiting and waiting >= self._waiting:
            self._transport.abort()
        else:
            self._waiting = waiting
            self._arm()
