"""What every process tells of itself: readiness, and how late its event loop is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

from runtime.lifecycle import wait
from runtime.polling import poll
from telemetry import metrics
from telemetry.health import Check, Readiness

READINESS_INTERVAL: Final = timedelta(seconds=5)
_SAMPLE_SECONDS: Final = 0.5


async def measure_process(checks: Sequence[Check], stop: asyncio.Event) -> None:
    """Export the readiness of this process and the delay of its event loop until `stop` is set."""
    readiness = Readiness(checks)

    async def is_ready() -> bool:
        return (await readiness.report()).ok

    await asyncio.gather(_measure_readiness(is_ready, stop), _measure_delay(stop))


async def _measure_readiness(is_ready: Callable[[], Awaitable[bool]], stop: asyncio.Event) -> None:
    async def measure() -> None:
        metrics.READY.set(await is_ready())

    # not at a scrape: during an outage a check takes seconds, and the other metrics would be late or missing
    await poll(measure, READINESS_INTERVAL, stop)
    metrics.READY.set(0)


async def _measure_delay(stop: asyncio.Event) -> None:
    started = time.perf_counter()
    while not await wait(stop, _SAMPLE_SECONDS):
        now = time.perf_counter()
        metrics.EVENT_LOOP_DELAY.observe(max(0.0, now - started - _SAMPLE_SECONDS))
        started = time.perf_counter()
