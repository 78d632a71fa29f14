"""The figures of a run, with their floors and targets, and the machine they were measured on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

_SHOWN: Final = {"aim": "[green]aim[/]", "enough": "[green]enough[/]", "short": "[red]short[/]"}


@dataclass(frozen=True, slots=True)
class Target:
    """The acceptable value of a figure, and a better one to aim at. If `aim` is below `least`, smaller is better."""

    least: float
    aim: float | None = None
    """None: `least` is the only target."""

    def verdict(self, value: float) -> str:
        """Return `aim`, `enough` or `short`."""
        sign = -1 if self.aim is not None and self.aim < self.least else 1
        if self.aim is not None and sign * value >= sign * self.aim:
            return "aim"
        return "enough" if sign * value >= sign * self.least else "short"


@dataclass(frozen=True, slots=True)
class Floor:
    """The limit of the underlying parts, measured in the same run."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Point:
    """Position of a figure on a plot; its value is the y coordinate."""

    plot: str
    """Name of the file, without extension."""
    curve: str
    at: float
    axis: str = "events stored"
    """Quantity that `at` counts."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number."""

    name: str
    value: float
    unit: str
    floors: tuple[Floor, ...] = ()
    """The ratio refers to the first one."""
    target: Target | None = None
    ratio_target: Target | None = None
    note: str = ""
    point: Point | None = None

    @property
    def ratio(self) -> float | None:
        """The value as a multiple of its first floor; None without a floor."""
        return self.value / self.floors[0].value if self.floors and self.floors[0].value else None

    def verdicts(self) -> list[str]:
        """Return the verdict of each target that is set."""
        found = [self.target.verdict(self.value)] if self.target else []
        if self.ratio_target and self.ratio is not None:
            found.append(self.ratio_target.verdict(self.ratio))
        return found


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the benchmark."""

    machine: dict[str, str]
    figures: tuple[Figure, ...]

    def to_json(self) -> str:
        """Return the JSON form that `from_json` reads. It includes the ratios, for people."""
        figures = [asdict(figure) | {"ratio": figure.ratio} for figure in self.figures]
        return json.dumps({"machine": self.machine, "figures": figures}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Run:
        """Return the run in the JSON form of `to_json`."""
        document = json.loads(text)
        return cls(document["machine"], tuple(map(_figure, document["figures"])))


def _figure(document: dict[str, Any]) -> Figure:
    target, ratio_target = document["target"], document["ratio_target"]
    return Figure(
        document["name"],
        document["value"],
        document["unit"],
        tuple(Floor(**floor) for floor in document["floors"]),
        Target(**target) if target else None,
        Target(**ratio_target) if ratio_target else None,
        document["note"],
        # earlier runs have none
        Point(**point) if (point := document.get("point")) else None,
    )


def show(run: Run, console: Console) -> None:
    """Print the machine and a table of the figures."""
    for name, value in run.machine.items():
        console.print(f"{name:10} {value}", highlight=False, soft_wrap=True)
    console.print(table(run.figures))
    for figure in run.figures:
        if figure.note:
            console.print(f"{figure.name}: {figure.note}", highlight=False, soft_wrap=True)


def table(figures: Sequence[Figure]) -> Table:
    """Return a table with a line for each figure and each of its floors."""
    shown = Table(box=None, pad_edge=False)
    for column in ("figure", "floor"):
        shown.add_column(column, no_wrap=True)
    for column in ("value", "ratio", "at least", "aim", ""):
        shown.add_column(column, justify="right", no_wrap=True)
    for figure in figures:
        target, ratio_target = figure.target, figure.ratio_target
        shown.add_row(
            figure.name,
            "",
            f"{number(figure.value)} {figure.unit}",
            "",
            number(target.least) if target else "",
            number(target.aim) if target and target.aim is not None else "",
            _SHOWN[target.verdict(figure.value)] if target else "",
        )
        for place, floor in enumerate(figure.floors):
            wanted = ratio_target if not place else None
            ratio = figure.value / floor.value if floor.value else 0.0
            shown.add_row(
                "",
                floor.name,
                f"{number(floor.value)} {figure.unit}",
                f"{ratio:.2f}",
                f"{wanted.least:g}" if wanted else "",
                f"{wanted.aim:g}" if wanted and wanted.aim is not None else "",
                _SHOWN[wanted.verdict(ratio)] if wanted else "",
            )
    return shown


def number(value: float) -> str:
    """Return the value with as many digits as matter."""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"
