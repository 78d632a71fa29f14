from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.answers.levels import LevelCurve, Standing, standing

CURVE = LevelCurve(base=100, growth=100)
curves = st.builds(LevelCurve, base=st.integers(1, 10_000), growth=st.integers(0, 10_000))
xp_totals = st.integers(0, 10**15)


def test_each_level_costs_more_than_the_one_before() -> None:
    assert [CURVE.threshold(level) for level in range(1, 6)] == [0, 100, 300, 600, 1000]


def test_a_threshold_is_exact_however_large() -> None:
    assert LevelCurve(base=1, growth=1).threshold(10**9 + 2) == 500_000_001_500_000_001


@pytest.mark.parametrize(("xp", "level"), [(0, 1), (99, 1), (100, 2), (299, 2), (300, 3), (999, 4), (1000, 5)])
def test_a_level_is_reached_at_its_threshold(xp: int, level: int) -> None:
    assert CURVE.level(xp) == level


@given(curves, xp_totals)
def test_the_level_is_the_last_whose_threshold_is_reached(curve: LevelCurve, xp: int) -> None:
    level = curve.level(xp)
    assert curve.threshold(level) <= xp < curve.threshold(level + 1)


def test_progress_is_the_way_between_two_thresholds() -> None:
    assert standing(CURVE, 150, None) == Standing(2, 100, 300, 25.0)
    assert standing(CURVE, 0, None) == Standing(1, 0, 100, 0.0)


@pytest.mark.parametrize("reported", [1, 2, None])
def test_a_reported_level_below_the_curve_changes_nothing(reported: int | None) -> None:
    assert standing(CURVE, 150, reported).level == 2


def test_a_reported_level_above_the_curve_wins_and_its_progress_waits_for_the_xp() -> None:
    assert standing(CURVE, 150, 4) == Standing(4, 600, 1000, 0.0)
    assert standing(CURVE, 800, 4) == Standing(4, 600, 1000, 50.0)


@given(curves, xp_totals, st.none() | st.integers(1, 1_000_000))
def test_progress_is_a_percentage(curve: LevelCurve, xp: int, reported: int | None) -> None:
    assert 0 <= standing(curve, xp, reported).progress_percentage <= 100
