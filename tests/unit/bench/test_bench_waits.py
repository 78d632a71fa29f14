from __future__ import annotations

from bench.waits import Waits


def test_a_percentile_is_in_milliseconds() -> None:
    assert Waits([0.001, 0.002, 0.003, 0.004]).percentile(0.5) == 3.0


def test_who_was_refused_waited_longer_than_anybody_who_was_answered() -> None:
    waits = Waits([0.001, 0.002, 0.003], refused=3)

    assert (waits.percentile(0.2), waits.percentile(0.5), waits.percentile(0.95)) == (2.0, 3.0, 3.0)


def test_refusals_are_told() -> None:
    assert Waits([0.001] * 1_999, refused=1).note == "1 of 2,000 questions were refused (503)"


def test_a_queue_at_the_end_is_told() -> None:
    waits = Waits([0.001] * 1_999, refused=1, queued=1_200)

    assert waits.note == "1 of 2,000 questions were refused (503), 1,200 questions had queued at the end"
    assert not Waits([0.001]).note
