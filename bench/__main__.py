"""Measures the throughput and latency of the system, beside the limits of its parts: `python -m bench [--quick]`."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import append, cost, end_to_end, growth, read, scale_out, store
from bench.figures import Figure, Run, show
from bench.machine import describe
from bench.peer import beside as peer
from bench.size import SIZES, Size

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
    """Run the stages, print the figures, and write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", dest="size", action="store_const", const="quick", help="shorter runs with more variance"
    )
    size.add_argument("--long", dest="size", action="store_const", const="long", help="up to 10,000,000 stored events")
    parser.set_defaults(size="full")
    parser.add_argument("--only", help=f"comma-separated list of {', '.join(STAGES)}")
    parser.add_argument("--rate", type=float, help="events per second of the stage cost")
    parser.add_argument("--json", type=Path, default=Path(_RESULTS), help="file for the figures")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else list(STAGES)
    if unknown := set(names) - set(STAGES):
        parser.error(f"unknown stage: {', '.join(sorted(unknown))}")
    console = Console(width=_WIDTH)
    measured = SIZES[given.size]
    if given.rate is not None:
        measured = replace(measured, cost_rate=given.rate)
    machine = describe() | {"size": given.size}
    found = Run(machine, asyncio.run(run(names, measured, console)))
    given.json.write_text(found.to_json())
    show(found, console)


if __name__ == "__main__":
    main()
