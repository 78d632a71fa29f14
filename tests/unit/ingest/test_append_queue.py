"""The queue in front of the stream: which requests share an append or its failure, and its capacity."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ingest.append_queue import AppendQueue
from runtime.errors import StreamUnavailable
from schemas.entry import encode
from tests.support.events import event

ONE = encode(event("session_start"))


class Broken:
    async def append(self, _events: Any) -> None:
        raise ZeroDivisionError


async def test_a_defect_is_raised_for_every_waiter() -> None:
    queue = AppendQueue(Broken())
    outcomes = await asyncio.gather(*(queue.append([]) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError] * 3


class Hanging:
    """A stream that answers only when released."""

    def __init__(self) -> None:
        self.calls: list[asyncio.Future[None]] = []
        self.sizes: list[int] = []

    async def append(self, events: Any) -> None:
        self.calls.append(asyncio.get_running_loop().create_future())
        self.sizes.append(len(events))
        await self.calls[-1]


async def waiting(queue: AppendQueue, *sizes: int) -> list[asyncio.Task[None]]:
    tasks = []
    for size in sizes:
        tasks.append(asyncio.create_task(queue.append([ONE] * size)))
        # lets each task reach its wait, and the queue start its appends
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


async def test_who_waits_behind_a_failed_append_fails_with_it_and_leaves_room() -> None:
    stream = Hanging()
    queue = AppendQueue(stream, max_waiting=5_000)
    waiters = await waiting(queue, 2_500, 2_000, 500)
    assert stream.sizes == [2_500]
    with pytest.raises(StreamUnavailable, match="queue_full"):
        await queue.append([ONE])
    was_full = queue.is_full
    stream.calls[0].set_exception(StreamUnavailable("timeout"))
    outcomes = await asyncio.gather(*waiters, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["stream unavailable (timeout)"] * 3
    assert (was_full, queue.is_full) == (True, False)
    assert len(stream.calls) == 1
    [again] = await waiting(queue, 1)
    stream.calls[1].set_result(None)
    await again


async def test_as_many_appends_are_under_way_as_there_are_lanes() -> None:
    stream = Hanging()
    queue = AppendQueue(stream, lanes=2)
    waiters = await waiting(queue, 1, 2, 3, 4)
    assert stream.sizes == [1, 2]
    stream.calls[1].set_result(None)
    await waiters[1]
    await asyncio.sleep(0)
    assert stream.sizes == [1, 2, 7]
    for call in (stream.calls[0], stream.calls[2]):
        call.set_result(None)
    await asyncio.gather(*waiters)


async def test_a_full_queue_refuses_at_once() -> None:
    with pytest.raises(StreamUnavailable, match="queue_full"):
        await AppendQueue(Broken(), max_waiting=1).append([ONE, ONE])
