"""Monitors the services during an attack: the latency of `/livez`, and the memory."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from attack.process import Process

REFERENCE: Final = "reference"
"""A probed service that is not attacked. Its delay is that of the machine."""

_SAMPLE_SECONDS: Final = 0.05
PATIENCE_SECONDS: Final = 30.0
_KEPT: Final = 4_000
"""A minute of probes: longer than any attempt."""


class NeverAnswered(Exception):
    """A service did not answer within the patience of the probe."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One request to `/livez`: its start, its duration, and whether the response was good."""

    started: float
    seconds: float
    is_good: bool

    @property
    def latency(self) -> float:
        """Seconds until the good response; infinite without one."""
        return self.seconds if self.is_good else math.inf

    def overlaps(self, since: float, until: float) -> bool:
        """Return whether the probe waited during that time."""
        return self.started <= until and self.started + self.seconds >= since


class Watch:
    """Holds the last probes and samples of each service."""

    def __init__(self, processes: Sequence[Process], patience: float = PATIENCE_SECONDS) -> None:
        """A service that does not answer for `patience` seconds is given up."""
        self._processes = processes
        self._patience = patience
        self._probes: Mapping[str, deque[Probe]] = {
            name: deque(maxlen=_KEPT) for name in (*(each.name for each in processes), REFERENCE)
        }
        self._memory: Mapping[str, deque[tuple[float, int]]] = {each.name: deque(maxlen=_KEPT) for each in processes}
        self._answered = asyncio.Condition()

    def latencies(self, name: str, since: float, until: float) -> list[float]:
        """Return the latency of each probe that waited during that time, in seconds."""
        return [probe.latency for probe in self._probes[name] if probe.overlaps(since, until)]

    def peak_bytes(self, name: str, since: float) -> int:
        """Return the highest memory sampled since then, in bytes; 0 without a sample."""
        return max((size for at, size in self._memory[name] if at >= since), default=0)

    async def answered(self, name: str, since: float) -> None:
        """Return when the service has answered a probe that began after `since`. Raises NeverAnswered."""
        probes = self._probes[name]

        def is_answered() -> bool:
            return any(probe.started >= since for probe in list(probes)[-3:])

        try:
            async with asyncio.timeout(self._patience), self._answered:
                await self._answered.wait_for(is_answered)
        except TimeoutError:
            raise NeverAnswered(name) from None

    @asynccontextmanager
    async def running(self, reference_port: int) -> AsyncIterator[None]:
        """Probe and sample during the block."""
        ports = {**{each.name: each.port for each in self._processes}, REFERENCE: reference_port}
        targets = [f"{name}={port}" for name, port in ports.items()]
        prober = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "attack.probe", *targets, stdout=asyncio.subprocess.PIPE
        )
        tasks = [asyncio.create_task(self._gather(prober)), asyncio.create_task(self._sample())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            if prober.returncode is None:
                prober.kill()
            await prober.wait()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _gather(self, prober: asyncio.subprocess.Process) -> None:
        assert prober.stdout is not None
        async for line in prober.stdout:
            name, started, seconds, is_good = line.decode().split()
            probe = Probe(float(started), float(seconds), is_good == "1")
            async with self._answered:
                self._probes[name].append(probe)
                self._answered.notify_all()

    async def _sample(self) -> None:
        while True:
            for each in self._processes:
                self._memory[each.name].append((time.monotonic(), each.resident_bytes()))
            await asyncio.sleep(_SAMPLE_SECONDS)
