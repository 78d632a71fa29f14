"""Answers that are the same for everybody: made once for all who ask for one at about the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

SHARED_FOR: Final = timedelta(seconds=1)
"""How old an answer may be; far below the time an event takes to be counted in one."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Making(Generic[Answer]):
    begun_at: datetime
    task: asyncio.Task[Answer]

    def serves(self, now: datetime) -> bool:
        """Whether whoever asks now may have it: also a late one that is under way, or the slow would pile up."""
        if not self.task.done():
            return True
        is_made = not self.task.cancelled() and self.task.exception() is None
        # a clock that was set back makes none younger
        return is_made and timedelta(0) <= now - self.begun_at < SHARED_FOR


class SharedAnswers(Generic[Answer]):
    """Answers by what was asked. Who may ask is decided before, for each who asks."""

    def __init__(self) -> None:
        """Begin with none."""
        self._makings: dict[Hashable, _Making[Answer]] = {}

    async def get(self, asked: Hashable, now: datetime, make: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """Return the answer that is made or under way, or make it. Raises what its making raises; that is not kept."""
        making = self._makings.get(asked)
        if making is None or not making.serves(now):
            self._makings = {key: other for key, other in self._makings.items() if other.serves(now)}
            making = self._makings[asked] = _Making(now, asyncio.create_task(make(), name="shared-answer"))
        # shielded: whoever goes away takes nobody's answer along
        return await asyncio.shield(making.task)
