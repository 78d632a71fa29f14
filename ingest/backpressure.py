"""Refuses events before Redis runs out of memory or backlog, by a sample of its load."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from runtime.errors import StreamUnavailable
from runtime.polling import poll
from runtime.settings import Settings
from stream.server.load import StreamLoad
from telemetry import internal_events as telemetry
from telemetry.labels import BackpressureReason

SAMPLE_INTERVAL: Final = timedelta(seconds=1)

MEMORY_SHARE: Final = 0.85
"""Maximum used share of Redis' maxmemory. The rest absorbs events until the next sample, workers and trimming."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on what Redis holds."""

    backlog_events: int
    """Maximum number of unsettled entries; 0 for no limit."""
    stream_bytes: int
    needs_append_only_file: bool

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return the limits in the settings."""
        return cls(settings.max_backlog_events, settings.stream_max_bytes, settings.needs_append_only_file)


def classify_load(load: StreamLoad, limits: Limits) -> BackpressureReason | None:
    """Return why events must be refused under this load; None if they can be accepted."""
    if limits.needs_append_only_file and not load.append_only_file:
        return BackpressureReason.NOT_DURABLE
    if load.max_memory and load.used_memory > MEMORY_SHARE * load.max_memory:
        return BackpressureReason.MEMORY_SHORT
    if load.unsettled_bytes > limits.stream_bytes:
        return BackpressureReason.STREAM_FULL
    if limits.backlog_events and load.unsettled > limits.backlog_events:
        return BackpressureReason.BACKLOG_FULL
    return None


class PressureGauge:
    """Holds the result of the newest sample, which requests read without I/O."""

    def __init__(self, measure: Callable[[], Awaitable[StreamLoad]], limits: Limits) -> None:
        """`measure` may raise StreamUnavailable."""
        self._measure = measure
        self._limits = limits
        self.pressure: BackpressureReason | None = None
        """Reason to refuse events. Also None while Redis does not answer: then the append fails with its own reason."""

    async def sample(self) -> None:
        """Take one sample."""
        try:
            load = await self._measure()
        except StreamUnavailable as error:
            telemetry.load_unknown(error)
            self._set(None)
        else:
            self._set(classify_load(load, self._limits))

    async def run(self, stop: asyncio.Event) -> None:
        """Take a sample at every interval until `stop` is set."""
        await poll(self.sample, SAMPLE_INTERVAL, stop)

    def _set(self, pressure: BackpressureReason | None) -> None:
        if pressure is not self.pressure:
            telemetry.pressure_changed(pressure)
        self.pressure = pressure
