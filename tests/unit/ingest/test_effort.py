"""A request with much work yields to others and ends within its budget."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

import pytest

from ingest.effort import BUDGET, LARGE_BYTES, SLICE, Effort, Steps
from ingest.parsing.batch import parse_batch
from ingest.privacy.detectors import find_personal
from ingest.privacy.personal import Personal
from ingest.privacy.validators import MAX_CANDIDATES
from ingest.rejection import TOO_COSTLY, Rejection
from ingest.work import WORK
from web.problems import Refusal


async def parsed(body: bytes) -> list[Any]:
    async with Effort(asyncio.Lock(), len(body)) as effort:
        return await effort.run(parse_batch(body, effort))


def working(slices: int) -> Steps[int]:
    for _ in range(slices):
        WORK.units += SLICE
        yield
    return slices


async def test_others_run_between_the_slices_of_a_long_request() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    async with Effort(asyncio.Lock(), 0) as effort:
        assert await effort.run(working(20)) == 20
    counting.cancel()

    assert turns >= 20


async def test_a_short_request_waits_for_nobody() -> None:
    turns = asyncio.Lock()
    await turns.acquire()

    async with Effort(turns, LARGE_BYTES) as effort:
        assert await effort.run(working(0)) == 0


async def test_large_bodies_are_read_one_at_a_time() -> None:
    turns = asyncio.Lock()
    reading = 0
    most = 0

    async def read() -> None:
        nonlocal reading, most
        async with Effort(turns, LARGE_BYTES + 1) as effort:
            reading += 1
            most = max(most, reading)
            await effort.run(working(3))
            reading -= 1

    await asyncio.gather(*(read() for _ in range(5)))
    assert most == 1


async def test_the_effort_is_over_when_the_budget_is_spent() -> None:
    async with Effort(asyncio.Lock(), 0) as effort:
        await effort.run(working(BUDGET // SLICE - 1))
        assert not effort.is_over
        WORK.units += SLICE
        assert effort.is_over


async def test_work_of_others_does_not_count() -> None:
    async with Effort(asyncio.Lock(), 0) as effort:
        running = asyncio.create_task(effort.run(working(2)))
        await asyncio.sleep(0)
        WORK.units += BUDGET
        await running
        assert not effort.is_over


async def test_events_that_are_left_are_to_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.effort.BUDGET", 50_000)
    large = {"a": [0] * 10_000}
    results = await parsed(json.dumps([large] * 45).encode())

    assert results[0].code != TOO_COSTLY.code
    assert results[-1] == TOO_COSTLY


async def test_a_full_batch_with_one_bad_event_is_read_whole() -> None:
    good = {"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 5}}
    results = await parsed(json.dumps([good] * 2_499 + [{}]).encode())

    assert len(results) == 2_500
    assert [one.code for one in results if isinstance(one, Rejection)] == ["missing_property"]


async def test_what_reading_leaves_is_enough_to_judge_some() -> None:
    odd = {"event_type": "xp_earned", "user_id": "\u2167" * 500, "properties": {"xp_amount": 5}}
    body = json.dumps([odd | {"user_id": f"{n}{odd['user_id']}"} for n in range(600)], ensure_ascii=False).encode()
    async with Effort(asyncio.Lock(), len(body)) as effort:
        results = await effort.run(parse_batch(body, effort))
        assert not effort.is_over

    assert not isinstance(results[0], Rejection)


async def test_others_run_while_a_full_batch_of_long_user_ids_is_read() -> None:
    event = {"event_type": "xp_earned", "properties": {"xp_amount": 5}}
    body = json.dumps([event | {"user_id": f"{n} " + "ada lovelace " * 35} for n in range(1_800)]).encode()
    steps = 0
    async with Effort(asyncio.Lock(), len(body)) as effort:
        for _ in parse_batch(body, effort):
            steps += 1

    assert steps >= len(body) // LARGE_BYTES


async def test_the_texts_of_a_full_batch_of_new_long_ids_cost_less_than_the_budget() -> None:
    numbers = Random(7)
    names = (f"{numbers.getrandbits(128):032x}" for _ in range(2_500))
    ids = [f"block-v1:OrgX+Course101+2026_T1+type@problem+block@{name}" for name in names]
    before = WORK.units

    assert [find_personal(one) for one in ids] == [None] * 2_500
    assert WORK.units - before < BUDGET


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('[{"a":' + "[" * 5_000 + "]" * 5_000 + "},{}]", "nesting_too_deep"),
        ('[{"a":"' + "[" * 40_000 + '\\""},{}]', "event_too_large"),
        ('[{"a":' + "9" * 5_000 + "},{}]", "invalid_number"),
        ("[" + "9" * 32_768 + ",{}]", "event_too_large"),
        ('[{"a":0' + "".join(f',"k{n}":0' for n in range(1_000)) + "},{}]", "unknown_property"),
    ],
    ids=["deep", "large", "a long number", "a number as long as an event", "many keys"],
)
async def test_a_bad_element_costs_its_neighbours_nothing(body: str, code: str) -> None:
    first, second = await parsed(body.encode())

    assert isinstance(first, Rejection)
    assert (first.code, second.code) == (code, "missing_property")


async def test_a_string_that_never_ends_costs_no_more_than_its_length() -> None:
    before = WORK.units

    with pytest.raises(Refusal, match="unreadable_body"):
        await parsed(("[" * 1_100 + '"' + '\\"' * 500_000).encode())

    assert WORK.units - before < BUDGET


def test_a_text_with_more_numbers_than_are_looked_at_is_personal() -> None:
    text = " ".join(f"+1415555{n:04}" for n in range(100, 100 + MAX_CANDIDATES))
    assert len(text) <= 512

    assert find_personal(text) is Personal.PHONE


@pytest.mark.parametrize(("count", "found"), [(MAX_CANDIDATES, None), (MAX_CANDIDATES + 1, Personal.IP_ADDRESS)])
def test_as_many_versions_as_are_looked_at_are_not_personal(count: int, found: Personal | None) -> None:
    assert find_personal(", ".join(["1.2.3.4"] * count)) is found
