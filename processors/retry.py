"""Calls that are repeated until a dependency is available."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from runtime.backoff import Backoff
from runtime.errors import DependencyUnavailable
from runtime.lifecycle import wait
from telemetry import internal_events as telemetry

BACKOFF: Final = Backoff(first=0.1, longest=10.0)

Result = TypeVar("Result")


async def until_available(call: Callable[[], Awaitable[Result]], stop: asyncio.Event) -> Result:
    """Return the result of the call, repeated with backoff while it raises DependencyUnavailable.

    Never gives up before `stop` is set; then the next DependencyUnavailable is raised. Other errors are raised at once.
    """
    attempt = 0
    while True:
        try:
            return await call()
        except DependencyUnavailable as error:
            attempt += 1
            seconds = BACKOFF.full_jitter(attempt, random.random())
            telemetry.retrying(error, attempt, seconds)
            if stop.is_set():
                raise
            await wait(stop, seconds)
