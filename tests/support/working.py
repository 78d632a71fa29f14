"""A store worker in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from processors.store import worker
from runtime.settings import Settings


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """Run a worker for the block. At the end it has stored the entries it had read."""
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await running
