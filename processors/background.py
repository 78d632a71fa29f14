"""Work that goes on while the next piece is made ready: one at a time, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Self


class Background:
    """Runs one coroutine at a time. What one raises is raised by whatever is called next."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        """Give one; at the end of the block wait for what runs, or cancel it when the block raised."""
        background = cls()
        try:
            yield background
            await background.wait()
        finally:
            if background._task is not None:
                background._task.cancel()
                await asyncio.gather(background._task, return_exceptions=True)

    async def run(self, work: Coroutine[object, object, None]) -> None:
        """Start the work, once what ran before is done. Raises what became of that; then the work never starts."""
        try:
            await self.wait()
        except BaseException:
            work.close()
            raise
        self._task = asyncio.create_task(work)

    async def wait(self) -> None:
        """Return when nothing runs."""
        if self._task is not None:
            await self._task
            self._task = None

    async def look(self) -> None:
        """Raise what the work raised, if it did; never wait."""
        if self._task is not None and self._task.done():
            await self.wait()
