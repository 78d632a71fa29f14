"""A batch closes when it is full or old enough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processors.store.batch import GATHER_MS, IDLE_BLOCK_MS, Batch, BatchPolicy, ReadPlan
from stream.entries.entry import Entry

POLICY = BatchPolicy(size=3, interval=10.0, linger_ms=50)


def entries(count: int) -> list[Entry]:
    return [Entry(f"{number}-0", {}) for number in range(count)]


def test_nothing_in_hand_is_never_due_and_waits_long() -> None:
    batch = Batch(POLICY)
    assert not batch.is_due(1_000.0)
    assert batch.next_read(1_000.0) == ReadPlan(3, IDLE_BLOCK_MS)


def test_a_full_batch_is_due() -> None:
    batch = Batch(POLICY)
    batch.add(entries(2), now=0.0)
    assert not batch.is_due(0.0)
    assert batch.next_read(0.0) == ReadPlan(1, 50 - GATHER_MS, GATHER_MS)
    batch.add(entries(1), now=0.0)
    assert batch.is_due(0.0)


def test_age_counts_from_the_first_entry() -> None:
    batch = Batch(POLICY)
    batch.add([], now=0.0)
    batch.add(entries(1), now=5.0)
    batch.add(entries(1), now=5.03125)
    assert not batch.is_due(5.04)
    assert batch.next_read(5.03125) == ReadPlan(1, 1, 19)
    assert batch.next_read(5.0498) == ReadPlan(1, 1, 1)
    assert batch.is_due(5.05)


def test_however_often_something_comes_none_waits_longer_than_lingering_takes() -> None:
    batch = Batch(BatchPolicy(size=1_000, interval=10.0, linger_ms=50))
    for millisecond in range(50):
        assert not batch.is_due(millisecond / 1000)
        batch.add(entries(1), now=millisecond / 1000)
    assert batch.is_due(0.05)


def test_the_interval_bounds_a_longer_lingering() -> None:
    batch = Batch(BatchPolicy(size=3, interval=1.0, linger_ms=60_000))
    batch.add(entries(1), now=0.0)
    assert not batch.is_due(0.9)
    assert batch.is_due(1.0)


def test_the_next_batch_starts_anew() -> None:
    batch = Batch(POLICY)
    batch.add(entries(2), now=0.0)
    assert batch.is_due(0.06)
    batch = Batch(POLICY)
    batch.add(entries(1), now=0.04)
    assert batch.entries == entries(1)
    assert not batch.is_due(0.06)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 5)), max_size=60))
def test_no_entry_is_lost_no_batch_overflows_and_none_waits_too_long(steps: list[tuple[int, float]]) -> None:
    batch, now, number, written = Batch(POLICY), 0.0, 0, []
    for offered, seconds in steps:
        plan = batch.next_read(now)
        assert 1 <= plan.count <= POLICY.size
        arrived = [Entry(f"{number + index}-0", {}) for index in range(min(offered, plan.count))]
        number += len(arrived)
        now += seconds
        batch.add(arrived, now)
        if batch.is_due(now):
            assert 1 <= len(batch.entries) <= POLICY.size
            written += batch.entries
            batch = Batch(POLICY)
        assert not batch.entries or now < batch.opened_at + POLICY.linger_ms / 1000
    assert written + batch.entries == [Entry(f"{index}-0", {}) for index in range(number)]
