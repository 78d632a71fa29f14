from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.answers.percentiles import GAMMA, percentiles, representative

PERCENTS = (0, 1, 50, 95, 99, 100)
latencies = st.floats(0.001, 86_400_000, allow_nan=False)


def bucket_of(milliseconds: float) -> int:
    """Return the bucket, as storage/batches/sql/system_metrics.sql does."""
    return math.ceil(math.log(milliseconds) / math.log(GAMMA))


def exact(values: list[float], percent: int) -> float:
    """Return percentile_cont by its definition."""
    ordered = sorted(values)
    position = percent / 100 * (len(ordered) - 1)
    below = math.floor(position)
    above = math.ceil(position)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


@given(st.lists(latencies, min_size=1, max_size=300))
def test_percentiles_are_within_one_percent_of_exact(values: list[float]) -> None:
    buckets = Counter(map(bucket_of, values))
    for percent, found in zip(PERCENTS, percentiles(buckets, PERCENTS), strict=True):
        assert found == pytest.approx(exact(values, percent), rel=0.01)


@given(st.dictionaries(st.integers(-348, 922), st.integers(1, 50), min_size=1, max_size=20))
def test_percentiles_interpolate_between_the_buckets_as_if_each_value_were_listed(buckets: dict[int, int]) -> None:
    listed = [representative(bucket) for bucket, count in buckets.items() for _ in range(count)]
    for percent, found in zip(PERCENTS, percentiles(buckets, PERCENTS), strict=True):
        assert found == pytest.approx(exact(listed, percent), rel=1e-9)


def test_without_values_there_is_no_percentile() -> None:
    assert list(percentiles({}, PERCENTS)) == [None] * len(PERCENTS)
    assert list(percentiles({7: 0}, (50,))) == [None]


def test_an_even_number_of_values_has_its_median_between_two() -> None:
    assert list(percentiles({0: 1, 100: 1}, (50,))) == [(representative(0) + representative(100)) / 2]


def test_ranks_are_exact_for_counts_no_float_can_hold() -> None:
    many = 10**17
    assert list(percentiles({1: many, 2: 1}, (100,))) == [representative(2)]
    assert list(percentiles({1: many + 1, 2: many}, (50,))) == [representative(1)]
    assert list(percentiles({1: many, 2: many + 1}, (50,))) == [representative(2)]
