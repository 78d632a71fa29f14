from __future__ import annotations

from cli.local.backoff import BACKOFF, STEADY_SECONDS, RestartBackoff


def test_delay_doubles_with_each_failure_up_to_the_limit() -> None:
    backoff, delays = RestartBackoff(), []
    for _ in range(10):
        backoff = backoff.after(uptime=1)
        delays.append(backoff.delay)

    assert delays[:4] == [BACKOFF.first, BACKOFF.first * 2, BACKOFF.first * 4, BACKOFF.first * 8]
    assert delays[-1] == BACKOFF.longest


def test_a_steady_run_forgives_earlier_failures() -> None:
    worn = RestartBackoff(failures=9)

    assert worn.after(uptime=STEADY_SECONDS).delay == BACKOFF.first
    assert worn.after(uptime=STEADY_SECONDS - 1).delay == BACKOFF.longest
