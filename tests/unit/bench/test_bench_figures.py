from __future__ import annotations

import json

import pytest

from bench.compare import changes
from bench.figures import Figure, Floor, Point, Run, Target


def test_a_ratio_is_of_the_first_floor() -> None:
    figure = Figure("append", 50.0, "/s", (Floor("XADD", 200.0), Floor("script", 400.0)))

    assert figure.ratio == 0.25


def test_without_a_floor_there_is_no_ratio() -> None:
    assert Figure("held", 50.0, "/s").ratio is None
    assert Figure("held", 50.0, "/s", (Floor("nothing", 0.0),)).ratio is None


@pytest.mark.parametrize(("value", "verdict"), [(7.9, "short"), (8, "enough"), (11.9, "enough"), (12, "aim")])
def test_a_rate_must_reach_its_target(value: float, verdict: str) -> None:
    assert Target(8, 12).verdict(value) == verdict


@pytest.mark.parametrize(("value", "verdict"), [(251, "short"), (250, "enough"), (101, "enough"), (100, "aim")])
def test_a_latency_must_stay_below_its_target(value: float, verdict: str) -> None:
    assert Target(250, 100).verdict(value) == verdict


def test_without_an_aim_the_best_verdict_is_enough() -> None:
    assert Target(8).verdict(7) == "short"
    assert Target(8).verdict(800) == "enough"


def test_every_target_that_was_set_has_a_verdict() -> None:
    figure = Figure("store", 30.0, "/s", (Floor("COPY", 100.0),), Target(15, 22), Target(0.5, 0.8))

    assert figure.verdicts() == ["aim", "short"]
    assert Figure("store", 30.0, "/s", ratio_target=Target(0.5, 0.8)).verdicts() == []


def test_a_run_comes_back_from_json_as_it_was() -> None:
    run = Run(
        {"cpu": "a good one", "cores": "2"},
        (
            Figure("a", 1.5, "/s", (Floor("x", 2.0), Floor("y", 3.0)), Target(1, 2), Target(0.5, 0.8), "by hand"),
            Figure("b", 20.0, "ms", target=Target(250, 100)),
            Figure("c", 3.0, "ms", point=Point("plot", "curve", 100)),
        ),
    )

    assert Run.from_json(run.to_json()) == run


def test_a_run_of_before_there_were_plots_is_still_read() -> None:
    run = Run({}, (Figure("a", 1.5, "/s"),))
    document = json.loads(run.to_json())
    del document["figures"][0]["point"]

    assert Run.from_json(json.dumps(document)) == run


def test_a_change_is_told_with_and_without_that_of_the_machine() -> None:
    old = Run({}, (Figure("append", 100.0, "/s", (Floor("XADD", 400.0),)), Figure("gone", 1.0, "/s")))
    new = Run({}, (Figure("new", 1.0, "/s"), Figure("append", 75.0, "/s", (Floor("XADD", 200.0),))))

    [change] = changes(old, new)

    assert (change.name, change.value, change.floor, change.without_machine) == ("append", 0.75, 0.5, 1.5)


def test_a_change_without_a_floor_on_both_sides_is_told_as_it_is() -> None:
    old = Run({}, (Figure("held", 100.0, "/s"),))
    new = Run({}, (Figure("held", 150.0, "/s", (Floor("store", 300.0),)),))

    [change] = changes(old, new)

    assert (change.value, change.floor, change.without_machine) == (1.5, None, None)
