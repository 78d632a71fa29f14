"""The attacker detects every fault of a service that has all of them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from attack.attempt import Attempt, Form, Service
from attack.campaign import Campaign, Plan
from attack.process import Process
from attack.report import lines
from attack.system import System
from attack.verdict import Bounds, Measure
from attack.watch import Watch
from bench.servers import process
from cli.local.embedded.ports import LOOPBACK, any_free

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads a process's memory from /proc")

_SERVICE = "tests.support.broken_service"


@asynccontextmanager
async def broken_system(folder: Path) -> AsyncIterator[System]:
    port, reference = any_free(), any_free()
    log = folder / "broken.log"
    async with (
        process((_SERVICE, str(reference)), {}, folder / "reference.log", f"http://{LOOPBACK}:{reference}/"),
        process((_SERVICE, str(port)), {}, log, f"http://{LOOPBACK}:{port}/") as pid,
    ):
        one = Process("ingest", pid, port, log)
        yield System(one, replace(one, name="worker"), replace(one, name="dashboard"), reference, "write", "read")


def saying(word: str) -> Attempt:
    return Attempt(word, Service.INGEST, Form.BATCH, word.encode(), must_be_refused=word == "take")


async def attacked(folder: Path, *words: str, patience: float = 30.0) -> Campaign:
    plan = Plan(30, 1, [saying(word) for word in words], searches=False, calm_seconds=0.3)
    campaign = None
    try:
        async with broken_system(folder) as system:
            watch = Watch(system.processes, patience)
            campaign = Campaign(system, watch, Bounds(cpu_seconds=0.1))
            async with watch.running(system.reference_port):
                await campaign.run(plan)
    except RuntimeError:
        assert campaign is not None
    return campaign


async def test_every_fault_is_found_with_the_input_that_shows_it(tmp_path: Path) -> None:
    campaign = await attacked(tmp_path, "harmless", "block", "spin", "talk", "label", "hold", "fail", "take")

    found = {(one.measure, one.attempt.lineage if one.attempt else None) for one in campaign.tally.findings}
    assert found >= {
        (Measure.LIVEZ, "block"),
        (Measure.CPU, "spin"),
        (Measure.LOG, "talk"),
        (Measure.SERIES, "label"),
        (Measure.SERIES, None),
        (Measure.PEAK_MEMORY, "hold"),
        (Measure.SETTLED_MEMORY, None),
        (Measure.SERVER_ERROR, "fail"),
        (Measure.ADMITTED, "take"),
    }
    assert "harmless" not in {lineage for _, lineage in found}
    report = "\n".join(lines(campaign, tmp_path))
    assert "FOUND livez, ingest" in report
    assert (tmp_path / "finding-1.json").exists()


async def test_the_end_of_a_service_ends_the_run(tmp_path: Path) -> None:
    campaign = await attacked(tmp_path, "die", "fail")

    assert {one.measure for one in campaign.tally.findings} == {Measure.DEATH}


async def test_a_service_that_never_answers_again_is_ended(tmp_path: Path) -> None:
    campaign = await attacked(tmp_path, "freeze", "fail", patience=1.5)

    assert {one.measure for one in campaign.tally.findings} == {Measure.FROZEN}
