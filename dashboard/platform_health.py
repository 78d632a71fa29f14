"""Exports the health of the platform's API, from the requests that its services report, for alerts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from dashboard.answers.percentiles import percentiles
from runtime.errors import DependencyUnavailable, StorageUnavailable
from runtime.polling import OutageReport, poll
from storage.answers.aggregates import RecentRequests
from telemetry import logging, metrics

SAMPLE_INTERVAL: Final = timedelta(seconds=15)
BUCKET: Final = timedelta(minutes=5)
"""Width of the buckets of the aggregates."""

_log = logging.get("dashboard")


class RequestSource(Protocol):
    """Where recent requests come from: `storage.answers.aggregates.Answers`."""

    async def recent_requests(self, start: datetime) -> RecentRequests:
        """Return the requests since a bucket's start. Raises StorageUnavailable."""


class PlatformHealth:
    """Requests, share of errors and 95th percentile of the platform's API over the last five to ten minutes.

    What is not stored yet is not counted: see the lag of the store group.
    """

    def __init__(self, source: RequestSource, clock: Callable[[], datetime]) -> None:
        self._source = source
        self._clock = clock
        self._outage = OutageReport(_report_unknown, lambda: _log.info("platform_health_known"))

    async def run(self, stop: asyncio.Event) -> None:
        """Export the figures every 15 seconds until `stop` is set."""
        await poll(self.refresh, SAMPLE_INTERVAL, stop)

    async def refresh(self) -> None:
        """Export the current figures. While the database is unreachable they are NaN."""
        with self._outage.reported():
            try:
                recent = await self._source.recent_requests(window_start(self._clock()))
            except StorageUnavailable:
                _publish(None)
                raise
            _publish(recent)


def window_start(now: datetime) -> datetime:
    """Return the start of the previous bucket. Pure."""
    seconds = int(now.timestamp()) // int(BUCKET.total_seconds()) * int(BUCKET.total_seconds())
    return datetime.fromtimestamp(seconds, now.tzinfo) - BUCKET


def _publish(recent: RecentRequests | None) -> None:
    if recent is None:
        requests = ratio = p95 = math.nan
    else:
        requests = sum(recent.latencies.values())
        ratio = recent.server_errors / requests if requests else math.nan
        [milliseconds] = percentiles(recent.latencies, [95])
        p95 = math.nan if milliseconds is None else milliseconds / 1000
    metrics.PLATFORM_REQUESTS.set(requests)
    metrics.PLATFORM_ERROR_RATIO.set(ratio)
    metrics.PLATFORM_P95.set(p95)


def _report_unknown(error: DependencyUnavailable) -> None:
    _log.warning("platform_health_unknown", reason=error.reason, detail=error.detail)
