"""Orderly shutdown: a signal sets an event, and loops end once it is set. Services that answer callers drain first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Shutdown:
    """The end of a service in two steps: while it drains it still answers callers, then it stops."""

    def __init__(self, drain_seconds: float) -> None:
        """`drain_seconds` 0: it stops at once."""
        self.drain = asyncio.Event()
        """Set at the beginning: callers should go to another replica."""
        self.stop = asyncio.Event()
        """Set after the drain. A defect sets it alone."""
        self._drain_seconds = drain_seconds
        self._began_at = 0.0

    def begin(self) -> None:
        """Set `drain` now, and `stop` after the drain."""
        loop = asyncio.get_running_loop()
        self._began_at = loop.time()
        self.drain.set()
        if self._drain_seconds:
            loop.call_later(self._drain_seconds, self.stop.set)
        else:
            self.stop.set()

    def progress(self) -> float:
        """Return the share of the drain that is over: 0 before it, 1 after it."""
        if self.stop.is_set():
            return 1.0
        if not self.drain.is_set():
            return 0.0
        return min(1.0, (asyncio.get_running_loop().time() - self._began_at) / self._drain_seconds)


@contextlib.contextmanager
def drain_on_signals(drain_seconds: float) -> Iterator[Shutdown]:
    """Yield a shutdown that SIGTERM and SIGINT begin while the block runs. The default handlers are restored after it.

    A second signal ends the process at once with exit code 128 + its number. This is as safe as a kill.
    """
    loop = asyncio.get_running_loop()
    shutdown = Shutdown(drain_seconds)
    has_begun = False

    def on_signal(number: signal.Signals) -> None:
        nonlocal has_begun
        if has_begun:
            # process 1 of a container has no default action for the signal
            os._exit(128 + number)
        has_begun = True
        shutdown.begin()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield shutdown
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """Yield an event that the first signal sets: the same without a drain."""
    with drain_on_signals(0) as shutdown:
        yield shutdown.stop


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
