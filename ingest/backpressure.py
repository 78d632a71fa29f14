"""Refuses events before Redis is in danger, by what it said of itself a moment ago."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from runtime.errors import StreamUnavailable
from runtime.lifecycle import wait
from runtime.settings import Settings
from stream.load import StreamLoad
from telemetry import events as telemetry

SAMPLE_INTERVAL: Final = timedelta(seconds=1)

MEMORY_SHARE: Final = 0.85
"""Of Redis' maxmemory; the rest holds what comes in until the next sample, and lets workers and trimming go on."""


class Pressure(StrEnum):
    """Why nothing more is taken for now."""

    NOT_DURABLE = "not_durable"
    MEMORY_SHORT = "memory_short"
    STREAM_FULL = "stream_full"
    BACKLOG_FULL = "backlog_full"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait in Redis."""

    backlog_events: int
    """0: any number."""
    stream_bytes: int
    needs_append_only_file: bool

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return those of the settings."""
        return cls(settings.max_backlog_events, settings.stream_max_bytes, settings.needs_append_only_file)


def classify_load(load: StreamLoad, limits: Limits) -> Pressure | None:
    """Return why events must be refused under this load, None when they are welcome."""
    if limits.needs_append_only_file and not load.append_only_file:
        return Pressure.NOT_DURABLE
    if load.max_memory and load.used_memory > MEMORY_SHARE * load.max_memory:
        return Pressure.MEMORY_SHORT
    if load.unsettled_bytes > limits.stream_bytes:
        return Pressure.STREAM_FULL
    if limits.backlog_events and load.unsettled > limits.backlog_events:
        return Pressure.BACKLOG_FULL
    return None


class PressureGauge:
    """Holds the newest judgement, for requests to look at for nothing."""

    def __init__(self, measure: Callable[[], Awaitable[StreamLoad]], limits: Limits) -> None:
        """`measure` may raise StreamUnavailable."""
        self._measure = measure
        self._limits = limits
        self.pressure: Pressure | None = None
        """None too while Redis does not answer: then the append says so itself."""

    async def sample(self) -> None:
        """Look once."""
        try:
            load = await self._measure()
        except StreamUnavailable as error:
            telemetry.load_unknown(error)
            self._set(None)
        else:
            self._set(classify_load(load, self._limits))

    async def watch(self, stop: asyncio.Event) -> None:
        """Look again and again until `stop` is set."""
        while not await wait(stop, SAMPLE_INTERVAL.total_seconds()):
            await self.sample()

    def _set(self, pressure: Pressure | None) -> None:
        if pressure is not self.pressure:
            telemetry.pressure_changed(pressure)
        self.pressure = pressure
