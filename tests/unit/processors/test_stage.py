"""A stage handles one item at a time, in order, and every error of its handler is raised to the caller."""

from __future__ import annotations

import asyncio

import pytest

from processors.stage import Stage
from tests.support.waiting import eventually


class Defect(Exception):
    """Raised by a handler."""


async def fail(_item: str) -> None:
    raise Defect


async def test_an_item_is_handled_once_the_one_before_is_done() -> None:
    said: list[str] = []
    may_end = asyncio.Event()

    async def handle(name: str) -> None:
        said.append(f"{name} begins")
        await may_end.wait()
        said.append(f"{name} ends")

    async with Stage(handle) as stage:
        await stage.submit("one")
        second = asyncio.create_task(stage.submit("two"))
        await eventually(lambda: said)
        await stage.check()
        assert not second.done()
        may_end.set()
        await second
    assert said == ["one begins", "one ends", "two begins", "two ends"]


async def test_submit_raises_the_error_of_the_item_before_and_handles_nothing_more() -> None:
    handled: list[str] = []

    async def handle(name: str) -> None:
        handled.append(name)
        raise Defect

    async def both() -> None:
        async with Stage(handle) as stage:
            await stage.submit("one")
            await stage.submit("two")

    with pytest.raises(Defect):
        await both()
    assert handled == ["one"]


async def test_check_raises_the_error_of_the_item_in_hand() -> None:
    async def check() -> None:
        async with Stage(fail) as stage:
            await stage.submit("one")
            await eventually(stage.check)

    with pytest.raises(Defect):
        await check()


async def test_the_end_of_the_block_raises_the_error_of_the_item_in_hand() -> None:
    async def end() -> None:
        async with Stage(fail) as stage:
            await stage.submit("one")

    with pytest.raises(Defect):
        await end()


async def test_a_block_that_fails_cancels_the_item_in_hand() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def handle(_item: str) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def break_off() -> None:
        async with Stage(handle) as stage:
            await stage.submit("one")
            await begun.wait()
            raise Defect

    with pytest.raises(Defect):
        await break_off()
    assert cancelled.is_set()
