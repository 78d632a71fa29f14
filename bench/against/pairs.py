"""Pairs the figures of two commits: the order of the runs, ratios, medians and spread. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final, Literal, NamedTuple

from bench.figures import Figure

Name = Literal["before", "now"]

RUNS: Final = 4
"""Runs of a stage in a round."""


class Sample(NamedTuple):
    """The result of one run of a stage."""

    stage: str
    round: int
    side: Name
    figures: tuple[Figure, ...]


class Quantity(NamedTuple):
    """Something both commits are measured by."""

    stage: str
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A quantity of both commits."""

    quantity: Quantity
    before: float
    """Median of the runs."""
    now: float
    ratios: tuple[float, ...]
    """Now divided by before, of each round; at least one."""

    @property
    def ratio(self) -> float:
        """Median of the rounds."""
        return median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """Lowest and highest ratio of a round."""
        return min(self.ratios), max(self.ratios)


def order_of(number: int) -> tuple[Name, Name, Name, Name]:
    """Return the sides of a round, from 0, in the order of their runs.

    Both sides have the same mean time, so a steady drift of the machine affects them alike.
    """
    first: Name
    second: Name
    first, second = ("before", "now") if number % 2 == 0 else ("now", "before")
    return first, second, second, first


def pairs_of(samples: Sequence[Sample]) -> list[Pair]:
    """Return a pair for each quantity that both sides have, in the order of their runs.

    The ratio of a round is that of the means of its runs. A round that is not complete is left out, and so is a round
    in which a side lacks the quantity or before is 0.
    """
    rounds = _complete_rounds(samples)
    quantities = dict.fromkeys(quantity for runs in rounds for _, values in runs for quantity in values)
    return [pair for quantity in quantities if (pair := _pair(quantity, rounds)) is not None]


def unpaired(samples: Sequence[Sample]) -> dict[Quantity, str]:
    """Return the quantities without a pair, each with the reason."""
    runs = [run for runs in _complete_rounds(samples) for run in runs]
    sides: dict[Quantity, set[Name]] = {}
    for side, values in runs:
        for quantity in values:
            sides.setdefault(quantity, set()).add(side)
    paired = {pair.quantity for pair in pairs_of(samples)}
    return {
        quantity: f"only {next(iter(found))}" if len(found) == 1 else "0 before, or never of both sides in a round"
        for quantity, found in sides.items()
        if quantity not in paired
    }


_Run = tuple[Name, dict[Quantity, float]]


def _complete_rounds(samples: Iterable[Sample]) -> list[list[_Run]]:
    rounds: dict[tuple[str, int], list[_Run]] = {}
    for sample in samples:
        rounds.setdefault((sample.stage, sample.round), []).append((sample.side, _values(sample)))
    return [runs for runs in rounds.values() if len(runs) == RUNS]


def _values(sample: Sample) -> dict[Quantity, float]:
    """Return the value of each figure, and that as a multiple of each floor."""
    values = {}
    for figure in sample.figures:
        values[Quantity(sample.stage, figure.name, figure.unit)] = figure.value
        for floor in figure.floors:
            if floor.value:
                values[Quantity(sample.stage, f"{figure.name} / {floor.name}", "x")] = figure.value / floor.value
    return values


def _pair(quantity: Quantity, rounds: Sequence[Sequence[_Run]]) -> Pair | None:
    every: dict[Name, list[float]] = {"before": [], "now": []}
    ratios = []
    for runs in rounds:
        before, now = (
            [values[quantity] for side, values in runs if side == name and quantity in values] for name in every
        )
        if before and now and fmean(before):
            ratios.append(fmean(now) / fmean(before))
            every["before"] += before
            every["now"] += now
    return Pair(quantity, median(every["before"]), median(every["now"]), tuple(ratios)) if ratios else None
