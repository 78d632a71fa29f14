"""Processes items concurrently, and reads items from a blocking source in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, TypeVar

from runtime.errors import AnalyticsError

T = TypeVar("T")

_AHEAD: Final = 2
"""Number of items that the thread reads ahead."""


async def process_in_parallel(items: AsyncIterator[T], work: Callable[[T], Awaitable[None]], concurrency: int) -> None:
    """Run the work on every item, on at most `concurrency` items at a time.

    Raises the first error of the work or the items, after it has cancelled the running work.
    """
    turn = asyncio.Lock()

    async def work_until_the_end() -> None:
        while True:
            async with turn:
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
            await work(item)

    workers = [asyncio.create_task(work_until_the_end()) for _ in range(concurrency)]
    try:
        ended, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        for worker in ended:
            worker.result()
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def iterate(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the items of an iterable that does not block."""
    for item in items:
        yield item


async def read_in_thread(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the items of a blocking iterable, such as lines of a pipe, without blocking the event loop.

    Raises the OSError or AnalyticsError of the iterable. A pending read does not prevent the process from ending.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)
    failures: list[OSError | AnalyticsError] = []
    is_complete = False

    def hand_over(item: tuple[T] | None) -> bool:
        try:
            loop.call_soon_threadsafe(queue.put_nowait, item)
        except RuntimeError:
            # the event loop is closed: the command ended before its input
            return False
        return True

    def read() -> None:
        nonlocal is_complete
        try:
            for item in items:
                room.acquire()
                if not hand_over((item,)):
                    return
            is_complete = True
        except (OSError, AnalyticsError) as failure:
            failures.append(failure)
        finally:
            hand_over(None)

    # a daemon thread, because a thread that reads a pipe cannot be interrupted
    threading.Thread(target=read, name="reader", daemon=True).start()
    while (item := await queue.get()) is not None:
        yield item[0]
        room.release()
    for failure in failures:
        raise failure
    # an unexpected error in the thread, whose traceback is on stderr, must not look like the end of the input
    assert is_complete
