"""Answers that are equal for all callers: computed once for requests at about the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

SHARED_FOR: Final = timedelta(seconds=1)
"""Maximum age of an answer. It is far below the time until an event is counted."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Making(Generic[Answer]):
    begun_at: datetime
    task: asyncio.Task[Answer]

    def serves(self, now: datetime) -> bool:
        """Whether the answer may be used now. One under way may always, so that slow answers do not pile up."""
        if not self.task.done():
            return True
        is_made = not self.task.cancelled() and self.task.exception() is None
        # the clock may have been set back
        return is_made and timedelta(0) <= now - self.begun_at < SHARED_FOR


class SharedAnswers(Generic[Answer]):
    """Answers by key. Callers are authorized before, each for itself."""

    def __init__(self) -> None:
        """Start empty."""
        self._makings: dict[Hashable, _Making[Answer]] = {}

    async def get(self, key: Hashable, now: datetime, make: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """Return a recent answer, or compute one with `make`. Raises what `make` raises; errors are not kept."""
        making = self._makings.get(key)
        if making is None or not making.serves(now):
            self._makings = {one: other for one, other in self._makings.items() if other.serves(now)}
            making = self._makings[key] = _Making(now, asyncio.create_task(make(), name="shared-answer"))
        # shielded: the cancellation of one request must not cancel the answer of others
        return await asyncio.shield(making.task)
