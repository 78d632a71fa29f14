"""Measures what one attempt costs a running system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from attack.attempt import Attempt, Service
from attack.delivery import deliver
from attack.process import Process
from attack.system import System
from attack.verdict import Cost, Measured, Snapshot
from attack.watch import REFERENCE, Watch

STORED_SECONDS: Final = 0.2
"""Time in which the worker stores the accepted events."""

IDLE_SECONDS: Final = 2.0
"""How long idle services are observed."""


@dataclass(frozen=True, slots=True)
class _Before:
    cpu_seconds: float
    waited_seconds: float
    resident_bytes: int
    log_bytes: int

    @classmethod
    def of(cls, process: Process) -> _Before:
        return cls(process.cpu_seconds(), process.waited_seconds(), process.resident_bytes(), process.log_bytes())


class Gauge:
    """Sends attempts and compares the figures before and after. One attempt at a time for each service."""

    def __init__(self, system: System, watch: Watch) -> None:
        self._system = system
        self._watch = watch
        self._series: dict[str, frozenset[str]] = {}
        self._calm: Mapping[str, float] = {}
        self._idle: Mapping[str, float] = {}
        """Processor time of each service per second without attack, caused by the observation."""

    async def calm_down(self, calm: Mapping[str, float]) -> dict[str, Snapshot]:
        """Record the current state as normal. `calm` is the latency of each service in seconds."""
        self._calm = calm
        before = {process.name: process.cpu_seconds() for process in self._system.processes}
        await asyncio.sleep(IDLE_SECONDS)
        self._idle = {
            process.name: (process.cpu_seconds() - before[process.name]) / IDLE_SECONDS
            for process in self._system.processes
        }
        return await self.snapshot()

    async def snapshot(self) -> dict[str, Snapshot]:
        """Return the current resources of each service."""
        for process in self._system.processes:
            await self._new_series(process)
        return {
            process.name: Snapshot(process.resident_bytes(), len(self._series[process.name]))
            for process in self._system.processes
        }

    async def measure(self, attempt: Attempt, *, pause: float = 0.0) -> Measured:
        """Deliver an attempt, wait `pause` more seconds, and return its cost. Raises NeverAnswered."""
        behind = self._behind(attempt.service)
        before = [_Before.of(process) for process in behind]
        started = time.monotonic()
        turning = partial(self._turning, attempt.service)
        outcome = await deliver(attempt, self._system.access(attempt.service), turning)
        await asyncio.sleep(pause)
        ended = time.monotonic()
        for name in (*(process.name for process in behind), REFERENCE):
            await self._watch.answered(name, ended)
        costs = {
            process.name: await self._cost(process, then, started, ended)
            for process, then in zip(behind, before, strict=True)
        }
        return Measured(attempt, outcome.seconds, outcome.sent_bytes, outcome.answers, costs)

    async def _cost(self, process: Process, before: _Before, started: float, ended: float) -> Cost:
        now = _Before.of(process)
        peak = max(self._watch.peak_bytes(process.name, started), now.resident_bytes)
        is_alive = process.is_alive()
        return Cost(
            livez_seconds=max(self._watch.latencies(process.name, started, ended), default=0.0),
            calm_seconds=self._calm.get(process.name, 0.0),
            machine_seconds=max(
                [now.waited_seconds - before.waited_seconds, *self._watch.latencies(REFERENCE, started, ended)]
            ),
            cpu_seconds=max(
                0.0, now.cpu_seconds - before.cpu_seconds - self._idle.get(process.name, 0.0) * (ended - started)
            ),
            peak_bytes=peak - before.resident_bytes,
            log_bytes=now.log_bytes - before.log_bytes,
            new_series=await self._new_series(process) if is_alive else 0,
            is_alive=is_alive,
        )

    async def _new_series(self, process: Process) -> int:
        known = self._series.get(process.name, frozenset())
        try:
            found = await process.series()
        except (OSError, TimeoutError):
            # the service is overloaded or dead, which another figure shows
            return 0
        self._series[process.name] = known | found
        return len(found - known)

    async def _turning(self, service: Service) -> None:
        await self._watch.answered(service, time.monotonic())

    def _behind(self, service: Service) -> Sequence[Process]:
        if service is Service.INGEST:
            return self._system.ingest, self._system.worker
        return (self._system.dashboard,)
