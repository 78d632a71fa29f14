"""A store worker in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from processors.store import worker
from runtime.settings import Settings
from tests.support.loops import looping


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """Run a worker for the block. At the end it has stored the entries it had read."""
    async with looping(worker.run, settings):
        yield
