"""Measures the throughput and latency of the system, beside the limits of its parts: `python -m bench [--quick]`.

With `--against REV`, measures this tree and another commit in turn, and prints the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import append, cost, end_to_end, growth, read, scale_out, store
from bench.against.comparison import Plan, compare
from bench.against.revision import Refused
from bench.figures import Figure, Run, show
from bench.machine import describe
from bench.peer import beside as peer
from bench.size import SIZES, Size
from bench.tree import THIS

Stage = Callable[[Size], Awaitable[list[Figure]]]

STAGES: Final[dict[str, Stage]] = {
    "append": append.measure,
    "store": store.measure,
    "end-to-end": end_to_end.measure,
    "cost": cost.measure,
    "peer": peer.measure,
    "read": read.measure,
    "growth": growth.measure,
    "scale-out": scale_out.measure,
}

_WIDTH: Final = 130
_RESULTS: Final = "bench-results.json"
_COMPARED: Final = "bench-against.json"


async def run(names: Sequence[str], size: Size, console: Console) -> tuple[Figure, ...]:
    """Run the stages one after another. Raises RuntimeError when a measurement is invalid."""
    figures: list[Figure] = []
    for name in names:
        started = time.monotonic()
        console.print(f"{name} ...", end=" ", highlight=False)
        figures += await STAGES[name](size)
        console.print(f"{time.monotonic() - started:.0f} s", highlight=False)
    return tuple(figures)


def main() -> None:
    """Run the stages, or compare two commits; print the figures, and write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", dest="size", action="store_const", const="quick", help="shorter runs with more variance"
    )
    size.add_argument("--long", dest="size", action="store_const", const="long", help="up to 10,000,000 stored events")
    parser.set_defaults(size="full")
    parser.add_argument("--only", "--stages", help=f"comma-separated list of {', '.join(STAGES)}")
    parser.add_argument("--rate", type=float, help="events per second of the stage cost")
    parser.add_argument("--json", type=Path, help=f"file for the figures: {_RESULTS}, with --against {_COMPARED}")
    parser.add_argument("--against", metavar="REV", help="compare this tree with another commit")
    parser.add_argument("--rounds", type=int, default=3, help="with --against: number of ratios, of four runs each")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else list(STAGES)
    if unknown := set(names) - set(STAGES):
        parser.error(f"unknown stage: {', '.join(sorted(unknown))}")
    console = Console(width=_WIDTH)
    if given.against is not None:
        results = given.json or Path(_COMPARED)
        try:
            compare(THIS.root, Plan(given.against, names, given.rounds, given.size, given.rate, results), console)
        except Refused as refused:
            parser.error(str(refused))
        except KeyboardInterrupt:
            sys.exit(130)
        return
    measured = SIZES[given.size]
    if given.rate is not None:
        measured = replace(measured, cost_rate=given.rate)
    machine = describe() | {"size": given.size}
    found = Run(machine, asyncio.run(run(names, measured, console)))
    (given.json or Path(_RESULTS)).write_text(found.to_json())
    show(found, console)


if __name__ == "__main__":
    main()
