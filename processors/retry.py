"""Waiting between attempts: exponential with full jitter, so that many clients do not come back at once.

Source: Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from runtime.errors import DependencyUnavailable
from runtime.lifecycle import wait
from telemetry import events as telemetry

FIRST_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 10.0

Result = TypeVar("Result")


def pause(attempt: int, chance: float) -> float:
    """Return the seconds to wait after failed attempt number `attempt` (from 1), for a `chance` in [0, 1)."""
    ceiling: float = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(attempt - 1, 30))
    return chance * ceiling


async def until_available(call: Callable[[], Awaitable[Result]], stop: asyncio.Event) -> Result:
    """Call until the dependency does its part, for ever. Once `stop` is set, its next failure is raised."""
    attempt = 0
    while True:
        try:
            return await call()
        except DependencyUnavailable as error:
            attempt += 1
            seconds = pause(attempt, random.random())
            telemetry.retrying(error, attempt, seconds)
            if stop.is_set():
                raise
            await wait(stop, seconds)
