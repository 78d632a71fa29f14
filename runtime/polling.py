"""Repeats a call until the process stops, and reports an outage once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from runtime.errors import DependencyUnavailable
from runtime.lifecycle import wait


class OutageReport:
    """Reports the first of several consecutive failures, and the success after them."""

    def __init__(
        self, on_failure: Callable[[DependencyUnavailable], None], on_recovery: Callable[[], None] = lambda: None
    ) -> None:
        self._on_failure = on_failure
        self._on_recovery = on_recovery
        self._is_failing = False

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Suppress a DependencyUnavailable of the block. Report it unless the previous block failed too."""
        try:
            yield
        except DependencyUnavailable as error:
            if not self._is_failing:
                self._on_failure(error)
            self._is_failing = True
        else:
            if self._is_failing:
                self._on_recovery()
            self._is_failing = False


async def poll(call: Callable[[], Awaitable[object]], interval: timedelta, stop: asyncio.Event) -> None:
    """Call at once and then at every `interval`, until `stop` is set. Raises the error of a call."""
    while not stop.is_set():
        await call()
        await wait(stop, interval.total_seconds())
