"""Work in the background: one at a time, in order, and nothing that goes wrong goes unseen."""

from __future__ import annotations

import asyncio

import pytest

from processors.background import Background
from tests.support.waiting import eventually


class Defect(Exception):
    """What work raises."""


async def fail() -> None:
    raise Defect


async def test_the_next_begins_once_the_one_before_is_done() -> None:
    said: list[str] = []
    may_end = asyncio.Event()

    async def work(name: str) -> None:
        said.append(f"{name} begins")
        await may_end.wait()
        said.append(f"{name} ends")

    async with Background.open() as background:
        await background.run(work("one"))
        second = asyncio.create_task(background.run(work("two")))
        await eventually(lambda: said)
        await background.look()
        assert not second.done()
        may_end.set()
        await second
    assert said == ["one begins", "one ends", "two begins", "two ends"]


async def test_who_hands_over_the_next_hears_of_a_failure_and_it_never_begins() -> None:
    begun = False

    async def never() -> None:
        nonlocal begun
        begun = True

    async def both() -> None:
        async with Background.open() as background:
            await background.run(fail())
            await background.run(never())

    with pytest.raises(Defect):
        await both()
    assert not begun


async def test_a_look_hears_of_a_failure() -> None:
    async def look() -> None:
        async with Background.open() as background:
            await background.run(fail())
            await eventually(background.look)

    with pytest.raises(Defect):
        await look()


async def test_the_end_hears_of_a_failure() -> None:
    async def end() -> None:
        async with Background.open() as background:
            await background.run(fail())

    with pytest.raises(Defect):
        await end()


async def test_a_block_that_fails_takes_what_runs_along() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def break_off() -> None:
        async with Background.open() as background:
            await background.run(work())
            await begun.wait()
            raise Defect

    with pytest.raises(Defect):
        await break_off()
    assert cancelled.is_set()
