"""Works on several items at once, and reads items from a source that blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, TypeVar

from runtime.errors import AnalyticsError

T = TypeVar("T")

_AHEAD: Final = 2
"""Items that are read before they are asked for."""


async def in_parallel(items: AsyncIterator[T], work: Callable[[T], Awaitable[None]], concurrency: int) -> None:
    """Do the work on every item, on at most `concurrency` at once.

    The first error of the work or the items is raised, and the work still under way is cancelled.
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


async def each_of(items: Iterable[T]) -> AsyncIterator[T]:
    """Give items that do not block."""
    for item in items:
        yield item


async def read_in_thread(items: Iterable[T]) -> AsyncIterator[T]:
    """Give items whose iteration blocks, such as lines from a pipe; the loop goes on meanwhile.

    Raises the OSError or AnalyticsError that ends them. A read that nobody waits for any more does not keep the
    process from ending.
    """
    loop = asyncio.get_running_loop()
    came: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)
    failures: list[OSError | AnalyticsError] = []
    is_whole = False

    def hand_over(item: tuple[T] | None) -> bool:
        try:
            loop.call_soon_threadsafe(came.put_nowait, item)
        except RuntimeError:
            # the loop is closed: the command ended before its input did
            return False
        return True

    def read() -> None:
        nonlocal is_whole
        try:
            for item in items:
                room.acquire()
                if not hand_over((item,)):
                    return
            is_whole = True
        except (OSError, AnalyticsError) as failure:
            failures.append(failure)
        finally:
            hand_over(None)

    # a daemon, since nothing can wake a thread that waits for a pipe
    threading.Thread(target=read, name="reader", daemon=True).start()
    while (item := await came.get()) is not None:
        yield item[0]
        room.release()
    for failure in failures:
        raise failure
    # after a defect in the reader, whose traceback is on stderr: what came must not pass for all there is
    assert is_whole
