"""Workers and maintenance that are killed at random and replaced."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from runtime.failpoints import Failpoint
from runtime.settings import Settings
from tests.support.doomed import Doomed

WORKERS = 3

_OF_WORKERS = [point for point in Failpoint if point.startswith(("after_", "before_commit"))]
_OF_MAINTENANCE = [Failpoint.BEFORE_TRIM, Failpoint.AFTER_TRIM, Failpoint.BEFORE_REFRESH]


class Crowd:
    """Three workers and a maintenance process. Each is replaced when it ends."""

    def __init__(
        self,
        settings: Settings,
        rng: random.Random,
        environment: Mapping[str, str] = MappingProxyType({}),
        *,
        hits: int = 4,
    ) -> None:
        """`environment` is that of each process. A worker is killed at one of its first `hits` failpoints."""
        self._settings = settings
        self._rng = rng
        self._environment = environment
        self._hits = hits
        self._alive: dict[asyncio.Task[int], Doomed] = {}
        self.deaths = 0

    async def live_and_die_until(self, over: asyncio.Task[Any]) -> None:
        """Replace processes that end until the task is done."""
        for _ in range(WORKERS):
            await self._start("worker")
        await self._start("maintenance")
        while not over.done():
            await asyncio.wait({over, *self._alive}, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in self._alive if task.done()]:
                self.deaths += 1
                await self._start(self._alive.pop(task).service)

    async def revive(self) -> None:
        """Kill the processes that still have a failpoint, and start others without one."""
        await self.end()
        for _ in range(WORKERS):
            await self._start("worker", forever=True)

    async def end(self) -> None:
        """Kill all processes."""
        for task, doomed in self._alive.items():
            doomed.kill()
            await task
        self._alive.clear()

    async def _start(self, service: str, *, forever: bool = False) -> None:
        environment = {"ANALYTICS_BATCH_SIZE": "50", "CLAIM_IDLE_SECONDS": "0.05", **self._environment}
        if not forever:
            points, latest = (_OF_WORKERS, self._hits) if service == "worker" else (_OF_MAINTENANCE, 1)
            environment["ANALYTICS_FAILPOINT"] = f"{self._rng.choice(points)}:kill:{self._rng.randint(1, latest)}"
        doomed = await Doomed.start(service, self._settings, environment)
        self._alive[asyncio.create_task(doomed.end())] = doomed
