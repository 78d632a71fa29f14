from __future__ import annotations

import pytest

from bench.settled import Poll, backlog_at, latencies, percentile


def test_an_event_is_stored_at_the_first_poll_that_says_so() -> None:
    polls = [Poll(at=10.0, through=9.0, backlog=5), Poll(at=10.5, through=9.9, backlog=1)]

    found = latencies(polls, since=8.0, until=9.5)

    assert len(found) == pytest.approx(1_500, abs=1)
    assert found[0] == pytest.approx(1.0, abs=0.002)
    assert found[-1] == pytest.approx(2.0, abs=0.002)
    # what was appended just after 9.0 had to wait for the second poll
    assert sum(latency > 1.4 for latency in latencies(polls, since=9.0, until=9.05)) == pytest.approx(50, abs=1)


def test_a_time_before_the_first_poll_s_is_told_once() -> None:
    polls = [Poll(10.0, 9.0, 5), Poll(10.5, 9.0, 5), Poll(11.0, 9.01, 5)]

    assert len(latencies(polls, since=9.0, until=9.01)) == pytest.approx(10, abs=1)


def test_the_backlog_is_that_of_the_first_poll_from_then_on() -> None:
    assert backlog_at([Poll(1.0, 0.0, 7), Poll(2.0, 0.0, 8), Poll(3.0, 0.0, 9)], 1.5) == 8


def test_a_percentile_is_one_of_the_values() -> None:
    assert [percentile([1.0, 2.0, 3.0, 4.0], share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 3.0, 4.0, 4.0]
