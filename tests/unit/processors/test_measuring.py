"""The pure parts of what maintenance measures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from processors.balance import Balance
from runtime.clock import clock_skew
from storage.batches.verify import Books
from storage.losses import StreamLoss
from stream.entries.books import StreamBooks

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("server", "skew"), [(-3, -3), (0, 0), (1.5, 0), (2, 0), (2.5, 0.5)], ids=["behind", "", "between", "", "ahead"]
)
def test_a_slow_answer_is_no_skew_of_a_clock(server: float, skew: float) -> None:
    answered = NOON + timedelta(seconds=2)
    assert clock_skew(NOON + timedelta(seconds=server), NOON, answered) == timedelta(seconds=skew)


def balance(before: int | None, stored: int, appended: int, *losses: StreamLoss) -> Balance:
    return Balance(0, StreamBooks(appended, before), Books(stored, 0, 0, 0), StreamBooks(appended, before), losses)


@pytest.mark.parametrize(
    ("settled", "stored", "appended", "imbalance"),
    [
        (10, 10, 10, 0),
        (10, 12, 20, 0),
        (10, 8, 20, 2),
        (10, 13, 10, 3),
        (None, 5, 10, None),
        (None, 13, 10, 3),
    ],
)
def test_entries_without_exactly_one_fate_are_an_imbalance(
    settled: int | None, stored: int, appended: int, imbalance: int | None
) -> None:
    found = balance(settled, stored, appended)
    assert found.imbalance == imbalance
    assert found.is_balanced == (None if imbalance is None else imbalance == 0)


def test_entries_that_redis_lost_are_no_imbalance() -> None:
    loss = StreamLoss(0, NOON, missing=100, lost=20)
    found = balance(0, 80, 0, loss)
    assert found.imbalance == 0
    assert (found.fates()["appended"], found.fates()["lost"], found.fates()["in_flight"]) == (100, 20, 0)
