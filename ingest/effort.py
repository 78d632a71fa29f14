"""How much work one request may cause, and when others get their turn meanwhile.

Work is counted in units of about a microsecond, by what was done and never by a clock: the same request always costs
the same. It is counted where it is done, for the whole process; a request takes the difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Final, Self, TypeVar

from ingest.faults import Rejection
from ingest.work import WORK

BUDGET: Final = 200_000
"""Units one request may cause; what is left of it then is to be sent again."""

SLICE: Final = 4_000
"""Units after which other requests get their turn."""

LARGE_BYTES: Final = 64 * 1024
"""Bodies above it are read one at a time."""

TOO_COSTLY: Final = Rejection(
    "too_costly",
    "",
    "The events before this one took too much work to check. Send this event again, in a smaller batch.",
)
"""Stands for the judgement of an event that was not judged. Its verdict is `retry`."""

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work that yields wherever others may run."""


def at_once(steps: Steps[T]) -> T:
    """Return what the steps return; nobody else runs meanwhile. For what is little."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


class Effort:
    """The work of one request so far."""

    def __init__(self, turns: asyncio.Lock, size: int) -> None:
        """Take the bytes of the body. `turns` is held by a request whose work is long: one at a time has it."""
        self._turns = turns
        self._size = size
        self._is_holding = False
        self._spent = 0
        self._mark = WORK.units

    @property
    def due(self) -> int:
        """The units of WORK at which it is the turn of others."""
        return self._mark + SLICE

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of the budget."""
        return self._spent + WORK.units - self._mark >= BUDGET

    @property
    def is_half_over(self) -> bool:
        """Whether no more may be read: the other half is for what was, so that something of each request gets on."""
        return self._spent + WORK.units - self._mark >= BUDGET // 2

    async def run(self, steps: Steps[T]) -> T:
        """Return what the steps return; others run between them whenever it is their turn."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            if WORK.units >= self.due:
                await self._let_others_run()

    async def __aenter__(self) -> Self:
        """Wait for a turn when the body is large: what is read of many at a time would fill the memory."""
        if self._size > LARGE_BYTES:
            await self._turns.acquire()
            self._is_holding = True
            self._mark = WORK.units
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the next long request go on."""
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
