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

BUDGET: Final = 150_000
"""Units one request may cause; what is left of it then is to be sent again."""

SLICE: Final = 4_000
"""Units after which other requests get their turn."""

TOO_COSTLY: Final = Rejection(
    "too_costly",
    "",
    "The events before this one took too much work to check. Send this event again, in a smaller batch.",
)
"""Stands for the judgement of an event that was not judged. Its verdict is `retry`."""

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work that yields wherever others may run."""


class Effort:
    """The work of one request so far."""

    def __init__(self, turns: asyncio.Lock | None = None) -> None:
        """`turns` is held by the one request whose work is long: of many only one runs at a time."""
        self._turns = turns or asyncio.Lock()
        self._is_holding = False
        self._spent = 0
        self._mark = WORK.units

    @property
    def is_due(self) -> bool:
        """Whether it is the turn of others."""
        return WORK.units - self._mark >= SLICE

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of the budget."""
        return self._spent + WORK.units - self._mark >= BUDGET

    async def run(self, steps: Steps[T]) -> T:
        """Return what the steps return; others run between them whenever it is their turn."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            if self.is_due:
                await self._let_others_run()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the next long request go on."""
        if self._is_holding:
            self._turns.release()
            self._is_holding = False

    async def _let_others_run(self) -> None:
        self._spent += WORK.units - self._mark
        if self._is_holding:
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(0)
            await self._turns.acquire()
            self._is_holding = True
        self._mark = WORK.units
