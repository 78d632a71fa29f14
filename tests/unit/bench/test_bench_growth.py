from __future__ import annotations

import pytest

from bench.figures import Figure, Target
from bench.growth import Measured, changes

AT_LEAST = Target(0.8, 0.95)


def _found(*stored: int) -> dict[int, list[Measured]]:
    return {
        number: [
            Measured("store", "stored", 20_000 - number / 1_000, "/s", AT_LEAST),
            Measured("memory", "worker", 80.0, "MB"),
        ]
        for number in stored
    }


def test_the_most_is_compared_with_the_fewest_that_say_something() -> None:
    assert changes(_found(0, 100_000, 1_000_000, 10_000_000)) == [
        Figure("growth: stored, 10,000,000 / 100,000 stored", 10_000 / 19_900, "x", target=AT_LEAST)
    ]


def test_what_has_no_target_is_not_compared() -> None:
    assert not [figure for figure in changes(_found(100_000, 200_000)) if "worker" in figure.name]


def test_what_must_be_known_of_either_number_is_known_of_their_ratio() -> None:
    [figure] = changes(
        {
            100_000: [Measured("read", "overview", 20.0, "ms", AT_LEAST, "7 had queued")],
            1_000_000: [Measured("read", "overview", 30.0, "ms", AT_LEAST, "9 had queued")],
        }
    )

    assert figure.note == "at 100,000: 7 had queued; at 1,000,000: 9 had queued"


@pytest.mark.parametrize("stored", [(), (0, 20_000), (0, 100_000)])
def test_growth_needs_two_numbers_of_stored_events(stored: tuple[int, ...]) -> None:
    assert changes(_found(*stored)) == []
