"""A stage of a pipeline: handles one item while its caller prepares the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class Stage(Generic[Item]):
    """Handles items in order, one at a time, in a task of its own.

    An error of the handler is raised by the next `submit` or `check`, or at the end of the `async with` block. Leaving
    the block waits for the item in hand; leaving it with an error cancels that item.
    """

    def __init__(self, handle: Callable[[Item], Coroutine[object, object, None]]) -> None:
        self._handle = handle
        self._task: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> None:
        """Begin to handle `item` once the item before it is done. If that one failed, raise its error instead."""
        await self._finish()
        self._task = asyncio.create_task(self._handle(item))

    async def check(self) -> None:
        """Raise the error of the item in hand if it has failed. Does not block."""
        if self._task is not None and self._task.done():
            await self._finish()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._finish()
        finally:
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)

    async def _finish(self) -> None:
        if self._task is not None:
            await self._task
            self._task = None
