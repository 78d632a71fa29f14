"""A process in the test's own process: its loops run until the end of a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from runtime.settings import Settings


@asynccontextmanager
async def looping(run: Callable[[Settings, asyncio.Event], Awaitable[None]], settings: Settings) -> AsyncIterator[None]:
    """Run `run` for the block, and wait until it has ended in order. Raises its error."""
    stop = asyncio.Event()
    running = asyncio.ensure_future(run(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await running
