"""Waits double up to a limit, and jitter spreads them below it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.backoff import Backoff

BACKOFF = Backoff(first=0.1, longest=10.0)

failures = st.integers(1, 10_000)
chances = st.floats(0, 1, exclude_max=True)


@given(failures, chances)
def test_full_jitter_is_below_the_ceiling(failures: int, chance: float) -> None:
    assert 0 <= BACKOFF.full_jitter(failures, chance) <= BACKOFF.longest


@given(failures, chances)
def test_equal_jitter_is_in_the_upper_half(failures: int, chance: float) -> None:
    ceiling = BACKOFF.ceiling(failures)
    assert ceiling / 2 <= BACKOFF.equal_jitter(failures, chance) <= ceiling


def test_waits_double_until_the_longest() -> None:
    assert [BACKOFF.ceiling(failures) for failures in (1, 2, 3)] == [0.1, 0.2, 0.4]
    assert BACKOFF.ceiling(50) == 10.0
    assert BACKOFF.full_jitter(50, 0.5) == 5.0
    assert BACKOFF.equal_jitter(50, 0.5) == 7.5
