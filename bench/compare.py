"""Compares two runs: `python -m bench.compare OLD NEW`.

If the floor of a figure changed as much as the figure, the cause is the machine.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.figures import Figure, Run

_WIDTH: Final = 130


@dataclass(frozen=True, slots=True)
class Change:
    """The change of a figure that both runs have. Each number is new divided by old."""

    name: str
    old: float
    new: float
    value: float
    floor: float | None
    """None if one of the runs has no floor."""

    @property
    def without_machine(self) -> float | None:
        """The change of the figure divided by the change of its floor."""
        return self.value / self.floor if self.floor else None


def changes(old: Run, new: Run) -> list[Change]:
    """Return the change of each figure that both runs have, in the order of the new run."""
    before = {figure.name: figure for figure in old.figures}
    return [_change(before[figure.name], figure) for figure in new.figures if figure.name in before]


def _change(old: Figure, new: Figure) -> Change:
    floor = None
    if old.floors and new.floors and old.floors[0].value:
        floor = new.floors[0].value / old.floors[0].value
    return Change(new.name, old.value, new.value, new.value / old.value if old.value else 0.0, floor)


def main() -> None:
    """Print the changes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    given = parser.parse_args()
    old, new = (Run.from_json(file.read_text()) for file in (given.old, given.new))
    shown = Table(box=None, pad_edge=False)
    shown.add_column("figure", no_wrap=True)
    for column in ("old", "new", "new / old", "floor, new / old", "without the machine"):
        shown.add_column(column, justify="right")
    for change in changes(old, new):
        rest = [f"{ratio:.2f}" if ratio is not None else "" for ratio in (change.floor, change.without_machine)]
        shown.add_row(change.name, f"{change.old:,.1f}", f"{change.new:,.1f}", f"{change.value:.2f}", *rest)
    Console(width=_WIDTH).print(shown)


if __name__ == "__main__":
    main()
