"""Freshness of answers: the time through which they are complete."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from runtime.errors import StreamUnavailable
from runtime.lifecycle import wait
from telemetry import logging, metrics

SAMPLE_SECONDS: Final = 0.25

_log = logging.get("dashboard")


class Freshness:
    """The last known time through which every event is stored.

    It is sampled before the database is read. An older sample is still correct.
    """

    def __init__(self, sample: Callable[[], Awaitable[datetime]], clock: Callable[[], datetime]) -> None:
        """`sample`: `stream.lag.consistent_through`, which may raise StreamUnavailable."""
        self._sample = sample
        self._clock = clock
        self._is_known = True
        self.consistent_through: datetime | None = None
        """None until the first sample."""

    async def refresh(self) -> None:
        """Take a sample. During an outage of the stream the last one stays."""
        try:
            self.consistent_through = await self._sample()
        except StreamUnavailable as error:
            if self._is_known:
                _log.warning("freshness_unknown", reason=error.reason, detail=error.detail)
            self._is_known = False
        else:
            if not self._is_known:
                _log.info("freshness_known")
            self._is_known = True
        if self.consistent_through is not None:
            metrics.STALENESS.set((self._clock() - self.consistent_through).total_seconds())

    async def keep(self, stop: asyncio.Event) -> None:
        """Refresh again and again until `stop` is set."""
        while not stop.is_set():
            await self.refresh()
            await wait(stop, SAMPLE_SECONDS)
