"""Limits the work of one request and lets other requests run meanwhile.

Work is counted in units of about a microsecond, by what is done and never by a clock: a request always costs the same.
`ingest/work.py` counts for the whole process; a request takes the difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Final, Self, TypeVar

from ingest.work import WORK

BUDGET: Final = 160_000
"""Maximum work of one request, in units. Its remaining events must be sent again."""

SLICE: Final = 4_000
"""Work after which other requests get their turn, in units."""

LARGE_BYTES: Final = 64 * 1024
"""Size above which bodies are read one at a time."""

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work that yields wherever other requests may run, and returns its result."""


def run_at_once(steps: Steps[T]) -> T:
    """Run little work without a pause. Return its result; no other request runs meanwhile."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


class Effort:
    """Counts the work of one request and pauses it. An asynchronous context manager."""

    def __init__(self, turns: asyncio.Lock, size: int) -> None:
        """Take the size of the body in bytes, and the lock that one request with much work holds at a time."""
        self._turns = turns
        self._size = size
        self._is_holding = False
        self._spent = 0
        self._mark = WORK.units

    @property
    def due(self) -> int:
        """The reading of WORK at which other requests get their turn."""
        return self._mark + SLICE

    @property
    def is_over(self) -> bool:
        """Whether the budget is used up."""
        return self._spent + WORK.units - self._mark >= BUDGET

    @property
    def is_half_over(self) -> bool:
        """Whether half of the budget is used up. Reading stops there: each request must make some progress."""
        return self._spent + WORK.units - self._mark >= BUDGET // 2

    async def run(self, steps: Steps[T]) -> T:
        """Run the steps and return their result. Other requests run between them whenever a slice is used up."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            if WORK.units >= self.due:
                await self._let_others_run()

    async def __aenter__(self) -> Self:
        """Wait for the lock if the body is large: many large bodies at a time would fill the memory."""
        if self._size > LARGE_BYTES:
            await self._turns.acquire()
            self._is_holding = True
            self._mark = WORK.units
        return self

    async def __aexit__(self, *_: object) -> None:
        """Release the lock."""
        if self._is_holding:
            self._turns.release()
            self._is_holding = False

    async def _let_others_run(self) -> None:
        self._spent += WORK.units - self._mark
        await asyncio.sleep(0)
        if not self._is_holding:
            await self._turns.acquire()
            self._is_holding = True
        self._mark = WORK.units
