"""Retries continue until the process is stopped, and a defect is never retried."""

from __future__ import annotations

import asyncio

import pytest

from processors.retry import until_available
from runtime.errors import StorageUnavailable


async def test_the_same_call_is_made_until_it_succeeds() -> None:
    failures = iter([StorageUnavailable("test"), StorageUnavailable("test")])

    async def call() -> str:
        for failure in failures:
            raise failure
        return "done"

    assert await until_available(call, asyncio.Event()) == "done"


async def test_after_a_stop_only_one_attempt_is_made() -> None:
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
