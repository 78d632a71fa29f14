"""Freshness of answers: the time through which they are complete."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from runtime.errors import DependencyUnavailable
from runtime.polling import OutageReport, poll
from telemetry import logging, metrics

SAMPLE_INTERVAL: Final = timedelta(seconds=0.25)

_log = logging.get("dashboard")


class Freshness:
    """The last known time through which every event is stored.

    It is sampled before the database is read. An older sample is still correct.
    """

    def __init__(self, sample: Callable[[], Awaitable[datetime]], clock: Callable[[], datetime]) -> None:
        """`sample`: `stream.entries.lag.consistent_through`, which may raise StreamUnavailable."""
        self._sample = sample
        self._clock = clock
        self._outage = OutageReport(_report_unknown, lambda: _log.info("freshness_known"))
        self.consistent_through: datetime | None = None
        """None until the first sample."""

    async def refresh(self) -> None:
        """Take a sample. During an outage of the stream the last one stays."""
        with self._outage.reported():
            self.consistent_through = await self._sample()
        if self.consistent_through is not None:
            metrics.STALENESS.set((self._clock() - self.consistent_through).total_seconds())

    async def run(self, stop: asyncio.Event) -> None:
        """Refresh at every interval until `stop` is set."""
        await poll(self.refresh, SAMPLE_INTERVAL, stop)


def _report_unknown(error: DependencyUnavailable) -> None:
    _log.warning("freshness_unknown", reason=error.reason, detail=error.detail)
