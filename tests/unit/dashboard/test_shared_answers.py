"""A shared answer is computed once per second, and an error reaches only the callers that waited for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.shared_answers import SHARED_FOR, SharedAnswers
from runtime.errors import StorageUnavailable

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
LATER = NOON + SHARED_FOR
A_LITTLE = timedelta(microseconds=1)


class Maker:
    """Returns numbered answers once it is released."""

    def __init__(self) -> None:
        self.made = 0
        self.may = asyncio.Event()
        self.may.set()
        self.fails = False

    async def make(self) -> int:
        self.made += 1
        number = self.made
        await self.may.wait()
        if self.fails:
            raise StorageUnavailable("connection")
        return number


async def asked(shared: SharedAnswers[int], maker: Maker, *, of: str = "day", now: datetime = NOON) -> int:
    return await shared.get(of, now, maker.make)


async def test_concurrent_requests_share_one_answer() -> None:
    shared, maker = SharedAnswers[int](), Maker()
    assert await asyncio.gather(*(asked(shared, maker) for _ in range(100))) == [1] * 100
    assert await asked(shared, maker, of="week") == 2


@pytest.mark.parametrize(
    ("now", "number"),
    [(NOON, 1), (LATER - A_LITTLE, 1), (LATER, 2), (NOON - A_LITTLE, 2)],
    ids=["at once", "within the second", "a second later", "by a clock that was set back"],
)
async def test_an_answer_is_given_again_for_a_second(now: datetime, number: int) -> None:
    shared, maker = SharedAnswers[int](), Maker()
    assert await asked(shared, maker) == 1
    assert await asked(shared, maker, now=now) == number


async def test_a_request_waits_for_an_answer_in_progress() -> None:
    shared, maker = SharedAnswers[int](), Maker()
    maker.may.clear()
    waiting = [asyncio.create_task(asked(shared, maker, now=now)) for now in (NOON, LATER, LATER + SHARED_FOR)]
    await asyncio.sleep(0)
    maker.may.set()
    assert await asyncio.gather(*waiting) == [1] * 3


async def test_a_failure_reaches_every_waiting_request_and_is_not_cached() -> None:
    shared, maker = SharedAnswers[int](), Maker()
    maker.fails = True
    told = await asyncio.gather(*(asked(shared, maker) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in told] == [StorageUnavailable] * 3
    assert maker.made == 1
    maker.fails = False
    assert await asked(shared, maker) == 2


async def test_a_cancelled_request_does_not_cancel_the_shared_answer() -> None:
    shared, maker = SharedAnswers[int](), Maker()
    maker.may.clear()
    impatient, patient = (asyncio.create_task(asked(shared, maker)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    maker.may.set()
    assert await patient == 1
    assert impatient.cancelled()


async def test_expired_answers_are_removed() -> None:
    shared, maker = SharedAnswers[int](), Maker()
    for number in range(5):
        await asked(shared, maker, of=f"{number}")
    await asked(shared, maker, now=LATER)
    assert list(shared._makings) == ["day"]
