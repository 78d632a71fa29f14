"""A worker stops instead of parking the events of an outage or a bad release."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.store.breaker import Breaker, BreakerPolicy, longest_run

POLICY = BreakerPolicy(max_ratio=0.1, max_consecutive=5, window=200)
GOOD = [False]


def spread(count: int, of: int) -> list[bool]:
    """Return this number of parked entries among good ones, never two in a row."""
    return ([True] + GOOD * 7) * count + GOOD * (of - 8 * count)


def test_good_entries_never_stop_it() -> None:
    breaker = Breaker(POLICY)
    for _ in range(10):
        assert breaker.exceeded_limit(GOOD * 100) is None
        breaker.record(GOOD * 100)


@pytest.mark.parametrize(("parked", "stops"), [(5, False), (6, True)])
def test_a_run_may_be_as_long_as_the_limit_and_no_longer(parked: int, stops: bool) -> None:
    verdict = Breaker(POLICY).exceeded_limit([True] * parked + GOOD * 50)
    assert (verdict is not None) is stops
    assert not stops or verdict == "6 entries in a row, the limit is 5"


def test_a_run_goes_on_over_batches_until_an_entry_is_good() -> None:
    breaker = Breaker(POLICY)
    breaker.record([*GOOD, True, True, True])
    assert breaker.exceeded_limit([True] * 3) is not None
    assert breaker.exceeded_limit([True] * 2) is None
    breaker.record(GOOD)
    assert breaker.exceeded_limit([True] * 5) is None


@pytest.mark.parametrize(("parked", "stops"), [(20, False), (21, True)])
def test_the_share_is_of_the_last_entries(parked: int, stops: bool) -> None:
    verdict = Breaker(POLICY).exceeded_limit(spread(parked, 200))
    assert (verdict is not None) is stops
    assert not stops or verdict == "21 of the last 200 entries, the limit is 10.00%"


def test_what_has_left_the_window_no_longer_counts() -> None:
    breaker = Breaker(POLICY)
    breaker.record(GOOD * 40 + spread(20, 160))
    assert breaker.exceeded_limit([*GOOD, True]) is not None
    breaker.record(GOOD * 200)
    assert len(breaker._recent) == POLICY.window
    assert breaker.exceeded_limit(spread(20, 200)) is None


@pytest.mark.parametrize(("parked", "stops"), [(10, False), (11, True)])
def test_the_first_bad_entry_after_a_start_is_no_share_yet(parked: int, stops: bool) -> None:
    assert (Breaker(POLICY).exceeded_limit([True, False] * parked) is not None) is stops


@pytest.mark.parametrize(("parked", "stops"), [(1, False), (2, True)])
def test_a_run_of_one_and_a_share_of_one_are_limits(parked: int, stops: bool) -> None:
    by_run = Breaker(BreakerPolicy(max_ratio=0, max_consecutive=1, window=100))
    assert (by_run.exceeded_limit([True] * parked) is not None) is stops
    by_share = Breaker(BreakerPolicy(max_ratio=0.01, max_consecutive=0, window=100))
    assert (by_share.exceeded_limit([True, False] * parked) is not None) is stops


@pytest.mark.parametrize(("parked", "stops"), [(2, False), (3, True)])
def test_a_share_is_taken_of_a_whole_window_that_is_shorter_than_the_minimum(parked: int, stops: bool) -> None:
    breaker = Breaker(BreakerPolicy(max_ratio=0.2, max_consecutive=0, window=10))
    assert (breaker.exceeded_limit([True] * parked) is not None) is stops


def test_a_batch_larger_than_the_window_is_judged_whole() -> None:
    breaker = Breaker(BreakerPolicy(max_ratio=0.1, max_consecutive=0, window=10))
    assert breaker.exceeded_limit([True] * 30 + GOOD * 70) is not None


def test_checking_a_batch_does_not_record_it() -> None:
    breaker = Breaker(POLICY)
    assert [breaker.exceeded_limit([True] * 5) for _ in range(9)] == [None] * 9


def test_zero_is_no_limit() -> None:
    breaker = Breaker(BreakerPolicy(max_ratio=0, max_consecutive=0, window=100))
    assert breaker.exceeded_limit([True] * 10_000) is None


@given(st.lists(st.booleans()), st.lists(st.booleans()))
def test_a_run_is_the_same_however_it_is_cut(first: list[bool], second: list[bool]) -> None:
    breaker = Breaker(BreakerPolicy(0, 1, 1))
    breaker.record(first)
    whole = max(map(len, "".join("x" if one else " " for one in first + second).split()), default=0)
    parts = max(longest_run(first, 0), longest_run(second, breaker._run))
    assert parts == whole
