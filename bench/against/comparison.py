"""Measures stages of two commits in turn, and shows the ratios."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.against.pairs import Name, Sample, order_of
from bench.against.report import show, to_json
from bench.against.sides import Side, both_sides, require_stages
from bench.against.subprocesses import interruptible, run
from bench.figures import Run
from bench.machine import describe

FROM_OUTSIDE: Final = frozenset({"cost"})
"""Stages that measure any commit in the same way. The code of this tree runs them on both."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compare, and how often."""

    revision: str
    stages: Sequence[str]
    rounds: int
    size: str
    """A name in `bench.size.SIZES`."""
    rate: float | None
    """Events per second of the stage `cost`; None: that of the size."""
    results: Path
    """File for the results, written again after each round."""


def compare(root: Path, plan: Plan, console: Console) -> None:
    """Compare the code in `root` with a revision of it.

    Raises Refused if that is impossible, and RuntimeError with its output when a run fails. What was measured before a
    failure or an interruption is shown. No process and no worktree is left.
    """
    with interruptible(), both_sides(root, plan.revision, console.print) as sides:
        require_stages(sides["before"], [stage for stage in plan.stages if stage not in FROM_OUTSIDE])
        machine = describe() | {"size": plan.size}
        for name, value in machine.items():
            console.print(f"{name:10} {value}", highlight=False, soft_wrap=True)
        for side in sides.values():
            about = f"{side.commit}  {side.tree.root}  ({side.environment})"
            console.print(f"{side.name:10} {about}", highlight=False, soft_wrap=True)
        measuring = _Measuring(sides, plan, console)
        try:
            for number in range(plan.rounds):
                measuring.round(number)
                plan.results.write_text(to_json(sides, measuring.samples, machine))
        finally:
            console.print()
            show(measuring.samples, console)


@dataclass
class _Measuring:
    sides: dict[Name, Side]
    plan: Plan
    console: Console
    samples: list[Sample] = field(default_factory=list)

    def round(self, number: int) -> None:
        """Run each stage of both sides, twice each."""
        for stage in self.plan.stages:
            self.console.print(f"round {number + 1} of {self.plan.rounds}: {stage}", end="", highlight=False)
            for name in order_of(number):
                started = time.monotonic()
                found = self._run(stage, self.sides[name])
                self.samples.append(Sample(stage, number, name, found.figures))
                self.console.print(f", {name} {time.monotonic() - started:.0f} s", end="", highlight=False)
            self.console.print()

    def _run(self, stage: str, side: Side) -> Run:
        place = self.sides["before"].tree.root.parent
        results = place / "results.json"
        results.unlink(missing_ok=True)
        runner = self.sides["now"] if stage in FROM_OUTSIDE else side
        command = runner.tree.command(*self._arguments(stage, side), "--json", str(results))
        run(command, runner.tree.root, runner.tree.environment(), place / "run.log")
        found = Run.from_json(results.read_text())
        side.require_unchanged(found.machine["commit"])
        return found

    def _arguments(self, stage: str, side: Side) -> list[str]:
        size, rate = self.plan.size, self.plan.rate
        if stage not in FROM_OUTSIDE:
            return ["bench", "--only", stage, *([] if size == "full" else [f"--{size}"])]
        tree = ["--tree", str(side.tree.root), "--python", side.tree.python]
        return [f"bench.{stage}", *tree, "--size", size, *([] if rate is None else ["--rate", str(rate)])]
