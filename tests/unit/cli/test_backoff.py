from __future__ import annotations

from cli.local.backoff import FIRST_SECONDS, LONGEST_SECONDS, STEADY_SECONDS, Backoff


def test_delay_doubles_with_each_failure_up_to_the_limit() -> None:
    backoff, delays = Backoff(), []
    for _ in range(10):
        backoff = backoff.after(uptime=1)
        delays.append(backoff.delay)

    assert delays[:4] == [FIRST_SECONDS, FIRST_SECONDS * 2, FIRST_SECONDS * 4, FIRST_SECONDS * 8]
    assert delays[-1] == LONGEST_SECONDS


def test_a_steady_run_forgives_earlier_failures() -> None:
    worn = Backoff(failures=9)

    assert worn.after(uptime=STEADY_SECONDS).delay == FIRST_SECONDS
    assert worn.after(uptime=STEADY_SECONDS - 1).delay == LONGEST_SECONDS
