"""The ratios of two commits: which runs are paired, and what is left out."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bench.against.pairs import Name, Quantity, Sample, order_of, pairs_of, unpaired
from bench.against.report import show
from bench.figures import Figure, Floor


def _round(number: int, before: tuple[float, float], now: tuple[float, float], stage: str = "append") -> list[Sample]:
    values = {"before": iter(before), "now": iter(now)}
    return [
        Sample(stage, number, side, (Figure("events", next(values[side]), "/s", (Floor("bare", 100.0),)),))
        for side in order_of(number)
    ]


@pytest.mark.parametrize("number", [0, 1])
def test_a_steady_drift_affects_both_sides_alike(number: int) -> None:
    drift: dict[Name, list[int]] = {"before": [], "now": []}
    for place, side in enumerate(order_of(number)):
        drift[side].append(place)

    assert sum(drift["before"]) == sum(drift["now"])


def test_each_side_is_first_in_turn() -> None:
    assert [order_of(number)[0] for number in range(4)] == ["before", "now", "before", "now"]


def test_a_ratio_of_a_round_is_that_of_the_means_and_the_ratio_is_the_median() -> None:
    samples = [
        *_round(0, (80.0, 120.0), (150.0, 250.0)),
        *_round(1, (100.0, 100.0), (110.0, 110.0)),
        *_round(2, (50.0, 50.0), (75.0, 75.0)),
    ]

    pair, multiple = pairs_of(samples)

    assert (pair.quantity, pair.ratios) == (Quantity("append", "events", "/s"), (2.0, 1.1, 1.5))
    assert (pair.ratio, pair.spread) == (1.5, (1.1, 2.0))
    assert (pair.before, pair.now) == (90.0, 110.0)
    assert multiple.quantity == Quantity("append", "events / bare", "x")
    assert (multiple.before, multiple.now) == (0.9, 1.1)


def test_a_round_that_was_interrupted_is_left_out() -> None:
    samples = [*_round(0, (100.0, 100.0), (150.0, 150.0)), *_round(1, (1.0, 1.0), (9.0, 9.0))[:3]]

    assert [pair.ratios for pair in pairs_of(samples)] == [(1.5,), (1.5,)]


def test_the_same_name_in_another_stage_is_another_quantity() -> None:
    samples = [*_round(0, (1.0, 1.0), (2.0, 2.0)), *_round(0, (1.0, 1.0), (3.0, 3.0), "store")]

    assert [pair.ratio for pair in pairs_of(samples)] == [2.0, 2.0, 3.0, 3.0]


def test_what_has_no_ratio_is_named_with_the_reason() -> None:
    samples = [
        sample._replace(figures=(*sample.figures, Figure("new" if sample.side == "now" else "old", 1.0, "ms")))
        for sample in _round(0, (0.0, 0.0), (2.0, 2.0))
    ]

    assert pairs_of(samples) == []
    assert {quantity.name: reason.split(",")[0] for quantity, reason in unpaired(samples).items()} == {
        "events": "0 before",
        "events / bare": "0 before",
        "old": "only before",
        "new": "only now",
    }


def test_the_table_has_both_values_the_ratio_and_its_spread() -> None:
    samples = [*_round(0, (100.0, 100.0), (150.0, 150.0)), *_round(1, (100.0, 100.0), (130.0, 130.0))]
    samples[-1] = samples[-1]._replace(figures=(Figure("late", 1.0, "ms", note="the rate was not held"),))
    output = io.StringIO()

    show(samples, Console(file=output, width=130))

    lines = [" ".join(line.split()) for line in output.getvalue().splitlines()]
    assert lines == [
        "figure before now ratio spread rounds",
        "events 100.0 /s 150.0 /s 1.40 1.30..1.50 2",
        "/ bare 1.00 x 1.50 x 1.40 1.30..1.50 2",
        "no ratio of late: only now",
        "now: late: the rate was not held",
    ]
