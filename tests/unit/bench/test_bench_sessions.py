"""What sessions were seen doing, told as shares and averages."""

from __future__ import annotations

from collections import Counter

from bench.sessions import Sessions


def test_shares_are_of_transactions_and_the_most_comes_first() -> None:
    assert Sessions(10, Counter(lock=1, computing=6, io=3)).shares() == "60% computing, 30% io, 10% lock"


def test_busy_is_how_many_at_a_time() -> None:
    sessions = Sessions(10, Counter(lock=5))
    assert (sessions.busy("lock"), sessions.busy("io"), Sessions().busy("lock")) == (0.5, 0.0, 0.0)
