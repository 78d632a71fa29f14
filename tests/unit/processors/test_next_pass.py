"""When late events of erased learners are searched for, and how far back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from processors.maintenance.late_events import FULL_PASS, OVERLAP, Pass, Progress, next_pass

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
MINUTE = timedelta(minutes=1)


def test_a_new_leader_and_every_hour_look_at_everything() -> None:
    everything = Pass(NOW - WEEK, is_full=True)
    assert next_pass(None, 0, NOW, WEEK) == everything
    assert next_pass(Progress(3, NOW - MINUTE, NOW - FULL_PASS), 3, NOW, WEEK) == everything


def test_nothing_is_looked_at_until_something_is_kept_out() -> None:
    last = Progress(3, NOW - MINUTE, NOW - 2 * MINUTE)
    assert next_pass(last, 3, NOW, WEEK) is None
    # a batch in progress at the last pass began before it
    assert next_pass(last, 4, NOW, WEEK) == Pass(NOW - MINUTE - OVERLAP, is_full=False)


def test_what_was_left_is_looked_at_again_though_nothing_new_was_kept_out() -> None:
    left = Progress(None, NOW - MINUTE, NOW - 2 * MINUTE)
    assert next_pass(left, 3, NOW, WEEK) == Pass(NOW - MINUTE - OVERLAP, is_full=False)
