"""A poll repeats its call until it is told to stop; an outage is reported once, however long it lasts."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from runtime.errors import DependencyUnavailable, StreamUnavailable
from runtime.polling import OutageReport, poll


class Log:
    """What was reported."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.outage = OutageReport(self.failed, lambda: self.said.append("recovered"))

    def failed(self, error: DependencyUnavailable) -> None:
        self.said.append(error.reason)

    def attempt(self, failure: str | None) -> None:
        with self.outage.reported():
            if failure:
                raise StreamUnavailable(failure)


def test_of_several_failures_in_a_row_the_first_is_reported() -> None:
    log = Log()
    for failure in ("timeout", "connection", "connection", None, None, "loading", None):
        log.attempt(failure)
    assert log.said == ["timeout", "recovered", "loading", "recovered"]


def test_a_defect_is_not_suppressed_and_is_no_recovery() -> None:
    log = Log()
    log.attempt("timeout")
    with pytest.raises(ZeroDivisionError), log.outage.reported():
        raise ZeroDivisionError
    assert log.said == ["timeout"]


async def test_a_poll_calls_until_it_is_told_to_stop() -> None:
    stop, calls = asyncio.Event(), 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            stop.set()

    await poll(call, timedelta(0), stop)
    assert calls == 3


async def test_a_poll_that_is_told_to_stop_before_it_begins_calls_nothing() -> None:
    async def call() -> None:
        raise AssertionError

    stop = asyncio.Event()
    stop.set()
    await poll(call, timedelta(0), stop)


async def test_a_defect_ends_the_poll() -> None:
    async def call() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await poll(call, timedelta(0), asyncio.Event())
