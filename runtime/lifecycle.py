"""Orderly shutdown: a signal sets an event, and loops end once it is set."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """Yield an event that SIGTERM and SIGINT set while the block runs. The default handlers are restored after it.

    A second signal ends the process at once with exit code 128 + its number. This is as safe as a kill.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    is_stopping = False

    def on_signal(number: signal.Signals) -> None:
        nonlocal is_stopping
        if is_stopping:
            # process 1 of a container has no default action for the signal
            os._exit(128 + number)
        is_stopping = True
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def wait(stop: asyncio.Event, seconds: float) -> bool:
    """Wait until `stop` is set, at most `seconds`. Return whether it is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


async def run_until_stopped(
    work: Coroutine[Any, Any, T], stop: asyncio.Event, watched: Iterable[asyncio.Task[None]] = ()
) -> T | None:
    """Return the result of `work`; None if `stop` is set first, after `work` is cancelled.

    Raises the error of `work`, or of a `watched` task that ends before it.
    """
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        ended, _ = await asyncio.wait((working, stopping, *watched), return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
        return working.result() if working in ended else None
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


async def run_together(stop: asyncio.Event, *works: Coroutine[None, None, None]) -> None:
    """Run loops that end when `stop` is set. A failure sets `stop` for the others. Failures are raised as a group.

    No loop is cancelled, so that each finishes its current work. Before Python 3.12 a cancellation can also get lost
    (bpo-37658: asyncio.wait_for, which redis-py uses), and the loop would never end.
    """

    async def watched(work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except BaseException:
            stop.set()
            raise

    results = await asyncio.gather(*map(watched, works), return_exceptions=True)
    failures = [result for result in results if result is not None]
    if failures:
        raise BaseExceptionGroup("the process ends", failures)
