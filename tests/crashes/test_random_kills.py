"""Workers and maintenance die at random, again and again, while events come in; `make chaos` goes on for long.

Everything that is chance comes from the seed, which is in the name of the test.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from runtime.failpoints import Failpoint
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from stream.connection import Redis
from stream.lag import measure
from tests.support.checker import assert_nothing_lost
from tests.support.doomed import Doomed
from tests.support.traffic import append_with_poison, demo_traffic
from tests.support.waiting import eventually

EVENTS = 1500
DEATHS = 10
WORKERS = 3

_OF_WORKERS = [point for point in Failpoint if point.startswith(("after_", "before_commit"))]
_OF_MAINTENANCE = [Failpoint.BEFORE_TRIM, Failpoint.AFTER_TRIM, Failpoint.BEFORE_REFRESH]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    first: int = metafunc.config.getoption("chaos_seed")
    rounds: int = metafunc.config.getoption("chaos_rounds")
    metafunc.parametrize("seed", range(first, first + rounds), ids=lambda seed: f"seed-{seed}")


async def test_any_number_of_deaths_changes_nothing(settings: Settings, redis: Redis, seed: int) -> None:
    rng = random.Random(seed)
    events = demo_traffic(EVENTS, seed)
    crowd = Crowd(settings, rng)
    sending = asyncio.create_task(send_until(lambda: crowd.deaths >= DEATHS, redis, events, rng))
    try:
        await crowd.live_and_die_until(sending)
        sent = sending.result()
        await crowd.revive()
        await assert_nothing_lost(settings, accepted=sent, sent=sent)
    finally:
        sending.cancel()
        await crowd.end()


async def send_until(
    enough: Callable[[], bool], redis: Redis, events: Sequence[AcceptedEvent], rng: random.Random
) -> set[UUID]:
    """Append the events bit by bit, each when the one before is settled, and over again if that is not enough."""
    sent: set[UUID] = set()
    at = 0
    while not enough():
        bit = rng.randint(50, 300)
        sent |= await append_with_poison(redis, events[at : at + bit], every=50)
        at = (at + bit) % len(events)
        await eventually(lambda: all_settled(redis))
    return sent


async def all_settled(redis: Redis) -> bool:
    return (await measure(redis, 0)).oldest_unsettled_at is None


class Crowd:
    """Three workers and a maintenance process, each replaced by another one when it dies."""

    def __init__(self, settings: Settings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self._alive: dict[asyncio.Task[int], Doomed] = {}
        self.deaths = 0

    async def live_and_die_until(self, over: asyncio.Task[Any]) -> None:
        """Return once the task is done; until then the dead are replaced."""
        for _ in range(WORKERS):
            await self._start("worker")
        await self._start("maintenance")
        while not over.done():
            await asyncio.wait({over, *self._alive}, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in self._alive if task.done()]:
                self.deaths += 1
                await self._start(self._alive.pop(task).service)

    async def revive(self) -> None:
        """Kill who is still to die, wherever it is, and start those who work to the end."""
        await self.end()
        for _ in range(WORKERS):
            await self._start("worker", forever=True)

    async def end(self) -> None:
        """Kill everybody."""
        for task, doomed in self._alive.items():
            doomed.kill()
            await task
        self._alive.clear()

    async def _start(self, service: str, *, forever: bool = False) -> None:
        environment = {"ANALYTICS_BATCH_SIZE": "50", "CLAIM_IDLE_SECONDS": "0.05"}
        if not forever:
            points, latest = (_OF_WORKERS, 4) if service == "worker" else (_OF_MAINTENANCE, 1)
            environment["ANALYTICS_FAILPOINT"] = f"{self._rng.choice(points)}:kill:{self._rng.randint(1, latest)}"
        doomed = await Doomed.start(service, self._settings, environment)
        self._alive[asyncio.create_task(doomed.end())] = doomed
