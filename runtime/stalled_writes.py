"""Gives up on a client that takes nothing: what waits to be sent to it would be kept for ever."""

from __future__ import annotations

import asyncio
from typing import Final

STALLED_SECONDS: Final = 30.0
"""How long a socket may take nothing while something waits for it."""

LEAVING_SECONDS: Final = 2.0
"""The same, once the process is about to end."""


class StalledWrites:
    """Looks after one connection's writes; cuts the connection off when none of them gets anywhere."""

    def __init__(self, transport: asyncio.Transport, seconds: float = STALLED_SECONDS) -> None:
        self._transport = transport
        self._seconds = seconds
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Writes wait from now on."""
        self._waiting = self._transport.get_write_buffer_size()
        self._arm()

    def end(self) -> None:
        """Writes do not wait any more, or the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hurry(self) -> None:
        """The process is about to end: be less patient."""
        self._seconds = min(self._seconds, LEAVING_SECONDS)
        if self._transport.get_write_buffer_size():
            self.begin()

    def _arm(self) -> None:
        self.end()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._judge)

    def _judge(self) -> None:
        waiting = self._transport.get_write_buffer_size()
        if waiting and waiting >= self._waiting:
            self._transport.abort()
        else:
            self._waiting = waiting
            self._arm()
