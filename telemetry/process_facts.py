"""What every process tells of itself: readiness, and how late its event loop is."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Final

from runtime.lifecycle import run_until_stopped, wait
from runtime.polling import poll
from telemetry import metrics
from telemetry.health import Readiness

READINESS_INTERVAL: Final = timedelta(seconds=5)
_SAMPLE_SECONDS: Final = 0.5


async def measure_process(readiness: Readiness, stop: asyncio.Event, drain: asyncio.Event | None = None) -> None:
    """Export the readiness of this process and the delay of its event loop until `stop` is set.

    A process that drains is not ready.
    """
    await asyncio.gather(_measure_readiness(readiness, stop, drain or stop), _measure_delay(stop))


async def _measure_readiness(readiness: Readiness, stop: asyncio.Event, drain: asyncio.Event) -> None:
    async def measure() -> None:
        is_ready = (await readiness.report()).ok
        metrics.READY.set(is_ready and not (drain.is_set() or stop.is_set()))

    async def end() -> None:
        await run_until_stopped(drain.wait(), stop)
        metrics.READY.set(0)

    # not at a scrape: during an outage a check takes seconds, and the other metrics would be late or missing
    await asyncio.gather(poll(measure, READINESS_INTERVAL, stop), end())


async def _measure_delay(stop: asyncio.Event) -> None:
    started = time.perf_counter()
    while not await wait(stop, _SAMPLE_SECONDS):
        now = time.perf_counter()
        metrics.EVENT_LOOP_DELAY.observe(max(0.0, now - started - _SAMPLE_SECONDS))
        started = time.perf_counter()
