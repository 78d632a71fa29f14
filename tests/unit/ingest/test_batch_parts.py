"""A large batch is parsed in parts. Its events are the same wherever it is cut."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ingest.effort import Effort
from ingest.parsing.batch import parse_batch
from ingest.rejection import Rejection
from schemas.limits import MAX_EVENT_BYTES
from web.problems import Refusal

CUTS = '}, {"event_type": '
"""The text between two events."""


async def parsed(body: str) -> list[Any]:
    encoded = body.encode()
    async with Effort(asyncio.Lock(), len(encoded)) as effort:
        return await effort.run(parse_batch(encoded, effort))


def view(material_id: str, **others: object) -> dict[str, Any]:
    return {"event_type": "material_view", "user_id": "u-1", "properties": {"material_id": material_id}} | others


def materials(events: list[Any]) -> list[str]:
    return [one.properties.material_id for one in events]


@pytest.mark.parametrize(
    "separators", [(",", ":"), (", ", ": "), (" ,\n\t", " :\r\n")], ids=["compact", "usual", "wide"]
)
@pytest.mark.parametrize("envelope", ["[%s]", ' {"events":[%s]}', '\n{ "events" :\t[ %s\n] }\r\n'])
async def test_every_event_of_a_large_batch_comes_out_in_order(separators: tuple[str, str], envelope: str) -> None:
    sent = [f"m-{n}-{'x' * 90}" for n in range(2_000)]
    events = separators[0].join(json.dumps(view(one), separators=separators) for one in sent)

    assert materials(await parsed(envelope % events)) == sent


async def test_a_text_that_looks_like_the_end_of_an_event_is_not_cut() -> None:
    sent = [f"{n} {CUTS * 6}" for n in range(1_500)]
    body = json.dumps([view(one) for one in sent])

    assert materials(await parsed(body)) == sent


async def test_a_nested_array_where_the_batch_is_cut_is_refused_as_part_of_its_event() -> None:
    nested = view("m-1", extra=[{"a": 1}, {"b": 2}] * 1_000)
    assert len(json.dumps(nested)) < MAX_EVENT_BYTES
    events = await parsed(json.dumps([nested, view("m-2")] * 20))

    assert [one.code for one in events[::2]] == ["unknown_property"] * 20
    assert materials(events[1::2]) == ["m-2"] * 20


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        ("", "unreadable_body"),
        ("]]", "unreadable_body"),
        ("]}", "unreadable_body"),
        (",]", "unreadable_body"),
        (',"]', "unreadable_body"),
        ("],[" + json.dumps(view("m-3")) + "]", "unreadable_body"),
    ],
)
async def test_a_large_batch_that_ends_wrong_is_refused_whole(tail: str, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        await parsed("[" + ",".join([json.dumps(view("m-" + "x" * 90))] * 1_000) + tail)

    assert refused.value.code == code


@pytest.mark.parametrize("tail", ["]", "]x", "]]", '], "more": 1}', '], "events": []}'])
async def test_a_large_envelope_that_ends_wrong_is_refused_whole(tail: str) -> None:
    with pytest.raises(Refusal):
        await parsed('{"events": [' + ",".join([json.dumps(view("m-" + "x" * 90))] * 1_000) + tail)


async def test_one_bad_event_in_the_last_part_costs_the_others_nothing() -> None:
    events = await parsed(json.dumps([view("m-" + "x" * 90)] * 1_500 + [view("")]))

    assert [isinstance(one, Rejection) for one in events] == [False] * 1_500 + [True]
