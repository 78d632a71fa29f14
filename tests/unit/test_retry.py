"""Retries back off with jitter, never give up while the process is to run, and never retry a defect."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.retry import FIRST_SECONDS, LONGEST_SECONDS, pause, until_available
from runtime.errors import StorageUnavailable


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_bounded(attempt: int, chance: float) -> None:
    assert 0 <= pause(attempt, chance) < LONGEST_SECONDS


def test_pauses_double_until_the_longest() -> None:
    assert [pause(attempt, 0.5) / 0.5 for attempt in (1, 2, 3)] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert pause(50, 0.5) == LONGEST_SECONDS / 2


async def test_the_same_call_is_made_until_it_succeeds() -> None:
    failures = iter([StorageUnavailable("test"), StorageUnavailable("test")])

    async def call() -> str:
        for failure in failures:
            raise failure
        return "done"

    assert await until_available(call, asyncio.Event()) == "done"


async def test_who_is_told_to_stop_tries_once_more_only() -> None:
    stop = asyncio.Event()
    stop.set()
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        raise StorageUnavailable("test")

    with pytest.raises(StorageUnavailable):
        await until_available(call, stop)
    assert calls == 1


async def test_a_defect_is_not_retried() -> None:
    async def call() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await until_available(call, asyncio.Event())
