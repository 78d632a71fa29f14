"""What a process tells of itself."""

from __future__ import annotations

import asyncio
import time

from runtime.errors import StreamUnavailable
from telemetry import metrics
from telemetry.health import Check, Readiness
from telemetry.process_facts import measure_process
from tests.support.waiting import eventually


def sample(name: str) -> float:
    return metrics.registry.get_sample_value(name) or 0.0


async def passes() -> str:
    return "answers"


async def fails() -> str:
    raise StreamUnavailable("connection")


async def test_a_process_is_ready_while_its_checks_pass_and_not_when_it_stops() -> None:
    stop = asyncio.Event()
    measuring = asyncio.create_task(measure_process(Readiness([Check("redis", passes)]), stop))
    await eventually(lambda: sample("analytics_ready") == 1)
    stop.set()
    await measuring
    assert sample("analytics_ready") == 0


async def test_a_process_that_drains_is_not_ready() -> None:
    stop, drain = asyncio.Event(), asyncio.Event()
    measuring = asyncio.create_task(measure_process(Readiness([Check("redis", passes)]), stop, drain))
    await eventually(lambda: sample("analytics_ready") == 1)
    drain.set()
    await eventually(lambda: sample("analytics_ready") == 0)
    assert not measuring.done()
    stop.set()
    await measuring


async def test_a_process_whose_check_fails_is_not_ready() -> None:
    metrics.READY.set(1)
    stop = asyncio.Event()
    readiness = Readiness([Check("redis", passes), Check("postgres", fails)])
    measuring = asyncio.create_task(measure_process(readiness, stop))
    await eventually(lambda: sample("analytics_ready") == 0)
    stop.set()
    await measuring


async def test_a_loop_that_stands_still_is_seen() -> None:
    def slow() -> float:
        fast = metrics.registry.get_sample_value("analytics_event_loop_delay_seconds_bucket", {"le": "0.1"}) or 0.0
        return sample("analytics_event_loop_delay_seconds_count") - fast

    metrics.READY.set(0)
    stop = asyncio.Event()
    before = slow()
    measuring = asyncio.create_task(measure_process(Readiness([]), stop))
    await eventually(lambda: sample("analytics_ready") == 1)
    time.sleep(0.8)  # noqa: ASYNC251 - the loop must stand still
    await eventually(lambda: slow() > before)
    stop.set()
    await measuring
