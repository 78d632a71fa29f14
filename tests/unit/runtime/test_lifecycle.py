"""Loops of one process end together, in order, and no failure is hidden."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from runtime.lifecycle import Shutdown, drain_on_signals, run_together, run_until_stopped, stop_on_signals, wait


async def test_a_signal_begins_the_drain_and_the_stop_follows_it() -> None:
    with drain_on_signals(0.05) as shutdown:
        os.kill(os.getpid(), signal.SIGTERM)
        await shutdown.drain.wait()
        assert not shutdown.stop.is_set()
        await shutdown.stop.wait()


async def test_without_a_drain_the_stop_is_immediate() -> None:
    shutdown = Shutdown(0)
    shutdown.begin()
    assert shutdown.drain.is_set()
    assert shutdown.stop.is_set()
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        await stop.wait()


async def test_the_progress_of_a_drain_is_a_share() -> None:
    shutdown = Shutdown(1000)
    assert shutdown.progress() == 0
    shutdown.begin()
    assert 0 <= shutdown.progress() < 0.5
    shutdown.stop.set()
    assert shutdown.progress() == 1


async def test_the_failure_of_one_ends_the_others_in_their_own_time() -> None:
    stop = asyncio.Event()
    finished = []

    async def careful() -> None:
        await stop.wait()
        await asyncio.sleep(0)
        finished.append("what was in hand")

    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as ended:
        await run_together(stop, careful(), broken(), careful())
    assert ended.group_contains(ZeroDivisionError)
    assert len(finished) == 2


async def test_a_loop_that_lost_its_cancellation_ends_all_the_same() -> None:
    stop = asyncio.Event()

    async def deaf() -> None:
        while not stop.is_set():
            try:
                await wait(stop, 60)
            except asyncio.CancelledError:
                continue

    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await run_together(stop, deaf(), broken())


async def test_without_a_failure_nothing_is_raised() -> None:
    stop = asyncio.Event()
    stop.set()
    await run_together(stop, wait_for(stop), wait_for(stop))


async def wait_for(stop: asyncio.Event) -> None:
    await stop.wait()


async def test_work_that_ends_first_gives_its_result() -> None:
    async def work() -> str:
        return "done"

    assert await run_until_stopped(work(), asyncio.Event()) == "done"


async def test_work_is_cancelled_once_it_is_told_to_stop() -> None:
    stop, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        stop.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return "never"

    assert await run_until_stopped(work(), stop) is None
    assert cancelled.is_set()


async def test_a_watched_task_that_fails_ends_the_work() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def broken() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_until_stopped(work(), asyncio.Event(), [asyncio.create_task(broken())])
    assert cancelled.is_set()
