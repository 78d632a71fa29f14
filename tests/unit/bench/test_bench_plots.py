from __future__ import annotations

import pytest

from bench.figures import Figure, Point
from bench.plots import drawn, plots


def _figure(plot: str, curve: str, at: float, value: float, unit: str = "/s") -> Figure:
    return Figure(f"{curve} at {at}", value, unit, point=Point(plot, curve, at))


def test_figures_become_curves_from_left_to_right() -> None:
    found = plots(
        [
            Figure("alone", 1.0, "/s"),
            _figure("rate", "one", 20, 4.0),
            _figure("rate", "one", 10, 5.0),
            _figure("rate", "two", 10, 6.0),
            _figure("wait", "one", 10, 7.0, "ms"),
        ]
    )

    assert {name: (plot.unit, plot.curves) for name, plot in found.items()} == {
        "rate": ("/s", {"one": [(10, 5.0), (20, 4.0)], "two": [(10, 6.0)]}),
        "wait": ("ms", {"one": [(10, 7.0)]}),
    }


def test_a_plot_says_what_is_counted_from_left_to_right() -> None:
    figures = [Figure("at 1", 5.0, "/s", point=Point("rate", "a curve", at, "workers")) for at in (1, 2)]
    [plot] = plots(figures).values()
    assert plot.axis == "workers"
    assert "workers" in drawn(plot)


def test_a_plot_has_one_unit() -> None:
    with pytest.raises(ValueError, match="rate has several units"):
        plots([_figure("rate", "one", 10, 1.0), _figure("rate", "two", 10, 1.0, "ms")])


def test_a_picture_names_every_curve() -> None:
    two = [_figure("rate", curve, at, 5.0) for curve in ("a curve", "b curve") for at in (10, 20)]
    [several] = plots(two).values()
    [alone] = plots(two[:2]).values()

    assert "a curve" in drawn(several)
    assert "b curve" in drawn(several)
    assert "a curve" in drawn(alone)


def test_a_single_point_is_seen_too() -> None:
    [plot] = plots([_figure("rate", "a curve", 10, 5.0)]).values()

    assert "<circle" in drawn(plot)


def test_a_picture_needs_nothing_from_elsewhere_and_is_always_the_same() -> None:
    [plot] = plots([_figure("rate", "a curve", 10, 5.0), _figure("rate", "a curve", 20, 4.0)]).values()

    picture = drawn(plot)

    assert picture == drawn(plot)
    assert not [mark for mark in ("<script", "@import", "href") if mark in picture]
