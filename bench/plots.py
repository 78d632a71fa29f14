"""Draws the curves of a run as SVG: `python -m bench.plots RESULTS.json DIRECTORY`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Final

import leather

from bench.figures import Figure, Point, Run

_WIDTH: Final = 800
_HEIGHT: Final = 420

_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""The palette of Okabe and Ito, which colour-blind people can distinguish."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves with the same unit."""

    unit: str
    axis: str
    """Quantity on the x axis."""
    curves: Mapping[str, Sequence[tuple[float, float]]]
    """Points by name of the curve, from left to right."""


def plots(figures: Sequence[Figure]) -> dict[str, Plot]:
    """Return each plot that the figures are points of, by name. Raises ValueError if one has several units."""
    points = [(figure.point, figure) for figure in figures if figure.point]
    return {
        name: _plot(name, [(point, figure) for point, figure in points if point.plot == name])
        for name in dict.fromkeys(point.plot for point, _ in points)
    }


def _plot(name: str, points: Sequence[tuple[Point, Figure]]) -> Plot:
    units = {figure.unit for _, figure in points}
    if len(units) > 1:
        raise ValueError(f"{name} has several units: {', '.join(sorted(units))}")
    curves: dict[str, list[tuple[float, float]]] = {}
    for point, figure in points:
        curves.setdefault(point.curve, []).append((point.at, figure.value))
    return Plot(units.pop(), points[0][0].axis, {curve: sorted(those) for curve, those in curves.items()})


def drawn(plot: Plot) -> str:
    """Return the plot as self-contained SVG. Deterministic."""
    # a legend is only drawn for several curves
    chart = leather.Chart(next(iter(plot.curves)) if len(plot.curves) == 1 else None)
    for (name, points), colour in zip(plot.curves.items(), cycle(_COLOURS), strict=False):
        if len(points) > 1:
            chart.add_line(points, name=name, stroke_color=colour)
        else:
            # a line needs two points
            chart.add_dots(points, name=name, fill_color=colour)
    points = [point for those in plot.curves.values() for point in those]
    chart.add_x_scale(0, max(at for at, _ in points))
    chart.add_y_scale(0, max(value for _, value in points))
    chart.add_y_axis(name=plot.unit, tick_formatter=_number)
    chart.add_x_axis(name=plot.axis, tick_formatter=_number)
    svg: str = chart.to_svg(width=_WIDTH, height=_HEIGHT)
    return svg


def _number(value: float, _place: int, _places: int) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:g}"


def main() -> None:
    """Draw all plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("directory", type=Path)
    given = parser.parse_args()
    found = plots(Run.from_json(given.results.read_text()).figures)
    if not found:
        parser.error(f"{given.results} has no curves; the stage growth makes some")
    given.directory.mkdir(parents=True, exist_ok=True)
    for name, plot in found.items():
        (given.directory / f"{name}.svg").write_text(drawn(plot))


if __name__ == "__main__":
    main()
