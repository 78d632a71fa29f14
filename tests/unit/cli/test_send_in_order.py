"""Acknowledgements are released in the order of the file, in whatever order they arrive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cli.sending.input_sender import InOrder


@given(st.permutations(range(12)))
def test_nothing_leaves_before_its_turn_and_all_leaves_in_the_end(numbers: list[int]) -> None:
    in_order: InOrder[int] = InOrder()
    left: list[int] = []
    for at, number in enumerate(numbers, start=1):
        left += in_order.add(number, number)
        came = set(numbers[:at])
        assert left == [each for each in range(12) if set(range(each + 1)) <= came]
    assert left == list(range(12))
