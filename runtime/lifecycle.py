"""Orderly ends: signals only raise a flag, loops look at it, heartbeats show that they still turn."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta


@contextlib.contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """Give an event that SIGTERM and SIGINT set while the block runs; the default handlers are back after it."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def wait(stop: asyncio.Event, seconds: float) -> bool:
    """Wait until `stop` is set, `seconds` at most; return whether it is."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


class Heartbeat:
    """When a loop last turned. Liveness is about turning, not about success: an outage must not cause restarts."""

    def __init__(self, now: datetime, limit: timedelta) -> None:
        self._last = now
        self._limit = limit

    def beat(self, now: datetime) -> None:
        """Say that the loop turned."""
        self._last = now

    def is_alive(self, now: datetime) -> bool:
        """Whether the last beat is younger than the limit."""
        return now - self._last < self._limit
