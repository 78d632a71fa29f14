"""A batch of valid events is parsed in parts at a quarter of the cost, unless its ids take long to validate."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ingest.effort import LARGE_BYTES, Effort
from ingest.parsing.batch import parse_batch
from ingest.rejection import Rejection
from ingest.work import WORK

XP: dict[str, Any] = {"event_type": "xp_earned", "user_id": "anna-1", "properties": {"xp_amount": 5}}
LARGE = 900
"""Events of several parts."""

EACH_BY_ITSELF = 15
"""The least cost of an event that is parsed by itself."""


async def cost(body: bytes) -> int:
    before = WORK.units
    async with Effort(asyncio.Lock(), 0) as effort:
        events = await effort.run(parse_batch(body, effort))
    assert not any(isinstance(one, Rejection) for one in events)
    return WORK.units - before


async def is_parsed_in_parts(body: bytes, count: int) -> bool:
    return await cost(body) < EACH_BY_ITSELF * count


@pytest.mark.parametrize(
    "envelope", ["%s", " %s\n", '{"events":%s}', '{ "events" :\t%s }\r\n', '\n{"events":%s\n}', '{"events":%s}  ']
)
@pytest.mark.parametrize("count", [20, LARGE])
@pytest.mark.parametrize("separators", [(",", ":"), (" , ", " : ")])
async def test_a_valid_batch_is_parsed_in_parts(envelope: str, count: int, separators: tuple[str, str]) -> None:
    body = envelope % json.dumps([XP] * count, separators=separators)
    assert (len(body) > LARGE_BYTES) is (count == LARGE)
    assert await is_parsed_in_parts(body.encode(), count)


async def test_the_cost_of_a_batch_is_counted() -> None:
    assert await cost(json.dumps([XP] * 100).encode()) == 656


@pytest.mark.parametrize(("size", "units"), [(64 * 1024, 4 + 2_048), (64 * 1024 + 1, 21)])
async def test_a_part_has_at_most_its_least_size_and_that_of_an_event(size: int, units: int) -> None:
    event = json.dumps(XP).encode()
    assert await cost(b"[" + event + b" " * (size - len(event) - 2) + b"]") == units


def spelled(text: str, total: int, *, escaped: bool = False) -> bytes:
    """Return a large batch with so many occurrences of a text in its ids."""
    each, rest = divmod(total, LARGE)
    ids = [f"id-{number}-{text * (each + (number < rest))}" for number in range(LARGE)]
    body = json.dumps([XP | {"user_id": one} for one in ids], ensure_ascii=False)
    return (body.replace(text, json.dumps(text)[1:-1]) if escaped else body).encode()


@pytest.mark.parametrize(
    ("text", "escaped", "most"),
    [("%", False, 256), ("&", False, 256), ("\u00fc", False, 64 * 1024), ("\u00fc", True, 8 * 1024)],
)
async def test_a_large_batch_with_ids_that_take_long_is_parsed_event_by_event(
    text: str, escaped: bool, most: int
) -> None:
    for total, in_parts in ((most, True), (most + 1, False)):
        body = spelled(text, total, escaped=escaped)
        assert len(body) > LARGE_BYTES
        assert await is_parsed_in_parts(body, LARGE) is in_parts


@pytest.mark.parametrize(("size", "in_parts"), [(LARGE_BYTES, True), (LARGE_BYTES + 1, False)])
async def test_a_small_batch_is_parsed_in_parts_whatever_its_ids(size: int, in_parts: bool) -> None:
    body = json.dumps([XP | {"user_id": f"{number}%"} for number in range(600)]).encode()
    assert await is_parsed_in_parts(body + b" " * (size - len(body)), 600) is in_parts
