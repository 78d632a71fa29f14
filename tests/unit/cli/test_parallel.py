"""Blocking items come from a thread, and an error that ends them is not mistaken for their end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from cli.sending.event_lines import EventFileDamaged
from cli.sending.parallel import process_in_parallel, read_in_thread


def ending_with(error: Exception) -> Iterator[int]:
    yield 1
    yield 2
    raise error


async def test_the_loop_goes_on_while_an_item_is_waited_for() -> None:
    go_on = threading.Event()

    def blocking() -> Iterator[int]:
        yield 1
        go_on.wait()
        yield 2

    found = []
    async for item in read_in_thread(blocking()):
        found.append(item)
        asyncio.get_running_loop().call_soon(go_on.set)
    assert found == [1, 2]


@pytest.mark.parametrize("error", [OSError("disk"), EventFileDamaged("cut")])
async def test_what_ends_the_items_is_raised_after_them(error: Exception) -> None:
    found: list[int] = []

    async def note(item: int) -> None:
        found.append(item)

    with pytest.raises(type(error)):
        await process_in_parallel(read_in_thread(ending_with(error)), note, 1)
    assert found == [1, 2]


async def test_a_defect_is_reported_and_is_not_the_end_of_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _arguments: told.set())

    async def work(_item: int) -> None: ...

    with pytest.raises(AssertionError):
        await process_in_parallel(read_in_thread(ending_with(ZeroDivisionError())), work, 2)
    assert await asyncio.to_thread(told.wait, 30)


async def test_no_more_is_read_than_is_asked_for_soon() -> None:
    read: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            read.append(len(read))
            yield read[-1]

    items = read_in_thread(endless())
    for number in range(10):
        assert await anext(items) == number
    assert len(read) <= 14
