from __future__ import annotations

from bench.waits import Waits


def test_a_percentile_is_in_milliseconds() -> None:
    assert Waits([0.001, 0.002, 0.003, 0.004]).percentile(0.5) == 3.0


def test_a_refusal_counts_as_the_longest_wait() -> None:
    waits = Waits([0.001, 0.002, 0.003], refused=3)

    assert (waits.percentile(0.2), waits.percentile(0.5), waits.percentile(0.95)) == (2.0, 3.0, 3.0)


def test_refusals_are_reported() -> None:
    assert Waits([0.001] * 1_999, refused=1).note == "1 of 2,000 questions were refused (503)"


def test_a_queue_at_the_end_is_reported() -> None:
    waits = Waits([0.001] * 1_999, refused=1, queued=1_200)

    assert waits.note == "1 of 2,000 questions were refused (503), 1,200 questions had queued at the end"
    assert not Waits([0.001]).note
