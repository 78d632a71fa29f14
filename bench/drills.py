"""Writes the report of `make drills` from the results that pytest left in a JUnit file.

python -m bench.drills .data/drills.xml --report docs/reports/drills.md
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from bench.machine import describe

_RESULTS = {"failure": "failed", "error": "failed", "skipped": "skipped"}


class Drill(NamedTuple):
    """The cases of one test: how many had each result, and their time, in seconds."""

    name: str
    results: Counter[str]
    seconds: float


def read_drills(junit: str) -> list[Drill]:
    """Return the tests of a JUnit file in their order; the cases of a parametrised test are one drill."""
    drills: dict[str, Drill] = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '').partition('[')[0]}"
        before = drills.get(name, Drill(name, Counter(), 0.0))
        result = next((_RESULTS[child.tag] for child in case if child.tag in _RESULTS), "passed")
        seconds = before.seconds + float(case.get("time", "0"))
        drills[name] = Drill(name, before.results + Counter([result]), seconds)
    return list(drills.values())


def render(drills: list[Drill], machine: Mapping[str, str]) -> str:
    """Return the report as Markdown."""
    total = sum((drill.results for drill in drills), Counter[str]())
    minutes = sum(drill.seconds for drill in drills) / 60
    rows = [f"| `{drill.name}` | {_shown(drill.results)} | {drill.seconds:.0f} |" for drill in drills]
    return "\n".join(
        [
            "# Drills",
            "",
            f"`make drills` on {machine['cores']} cores, at {machine['commit']}, in {minutes:.0f} minutes: "
            f"{_shown(total, always=True)}.",
            f"Servers: {machine['valkey']}; {machine['postgres']}.",
            "",
            "| test | result | seconds |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _shown(results: Counter[str], *, always: bool = False) -> str:
    """Return the number of cases with each result; only the result if there is one case."""
    if not always and results.total() == 1:
        return next(iter(results))
    return ", ".join(f"{count} {result}" for result, count in sorted(results.items()))


def main() -> None:
    """Write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("junit", type=Path, help="results of pytest --junitxml")
    parser.add_argument("--report", type=Path, required=True, help="write the report here")
    arguments = parser.parse_args()
    drills = read_drills(arguments.junit.read_text(encoding="utf-8"))
    arguments.report.write_text(render(drills, describe()), encoding="utf-8")
    print(f"{arguments.report} has the report")


if __name__ == "__main__":
    main()
