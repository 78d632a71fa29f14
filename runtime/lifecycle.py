"""Orderly ends: signals only raise a flag, and loops look at it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine, Iterator


@contextlib.contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """Give an event that SIGTERM and SIGINT set while the block runs; the default handlers are back after it.

    The second signal ends the process at once, with code 128 + its number, whatever is in hand: as safe as a kill.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    asked = False

    def on_signal(number: signal.Signals) -> None:
        nonlocal asked
        if asked:
            # not by the signal's default action: process 1 of a container has none
            os._exit(128 + number)
        asked = True
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def wait(stop: asyncio.Event, seconds: float) -> bool:
    """Wait until `stop` is set, `seconds` at most; return whether it is."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


async def run_together(stop: asyncio.Event, *works: Coroutine[None, None, None]) -> None:
    """Run loops that end when `stop` is set. When one fails it is set for the others; failures are raised as a group.

    Nobody is cancelled, so each loop finishes what it has in hand. Before Python 3.12 a cancellation can also get lost
    on its way (bpo-37658: asyncio.wait_for, which redis-py uses), and a loop that waits for one would go on for ever.
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
