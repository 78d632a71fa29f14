"""The cost of an event: every process of the whole system is counted, beside the bare way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.figures import Run

ROOT = Path(__file__).parents[2]
PARTS = {"ingest", "worker", "live worker", "maintenance", "dashboard", "postgres"}


@pytest.mark.timeout(240)
def test_the_cost_of_an_event_has_every_part_and_the_ratio_to_the_bare_way(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    command = [sys.executable, "-m", "bench.cost", "--size", "quick", "--rate", "500", "--json", str(results)]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = {figure.name: figure for figure in Run.from_json(results.read_text()).figures}
    spent = {name.partition(": processor of ")[2]: figure for name, figure in figures.items() if figure.unit == "us"}
    whole = spent.pop("the whole system, an event")
    parts = {part.removesuffix(", an event") for part in spent if part.endswith(", an event")}
    assert parts >= PARTS
    assert [part for part in parts - PARTS if not part.endswith("-server")] == []
    assert whole.value == pytest.approx(sum(spent[f"{part}, an event"].value for part in parts))
    bare = [figure.value for name, figure in figures.items() if ": bare way, " in name]
    assert whole.floors[0].value == pytest.approx(sum(bare))
