from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bench.load import Order, send
from bench.questions import Questions
from bench.requests import MARK, Requests

_IDS = [f"id-{number}-{MARK.decode()}" for number in range(3)]
REQUESTS = Requests("/events", [json.dumps({"event_id": name}).encode() for name in _IDS], 1)


@asynccontextmanager
async def _server(status: str = "202 Accepted") -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    taken: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            content = json.loads(await reader.readexactly(length) or b"{}")
            request = head.partition(b"\r\n")[0].decode()
            taken.append({**content, "request": request, "from": writer.get_extra_info("peername")})
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}".encode())

    async def serve_until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve_until_gone, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", taken


async def test_without_a_rate_it_sends_so_many_each_with_an_id_of_its_own() -> None:
    async with _server() as (url, taken):
        sent = await send(Order(url, "key", REQUESTS, connections=2, seconds=30, most=7))

    assert sent.accepted == sent.counted == 7
    assert len({event["event_id"] for event in taken}) == 7
    assert not [event for event in taken if event["event_id"].endswith(MARK.decode())]


async def test_another_order_has_other_ids() -> None:
    async with _server() as (url, taken):
        for _ in range(2):
            await send(Order(url, "key", REQUESTS, connections=1, seconds=30, most=3))

    assert len({event["event_id"] for event in taken}) == 6


async def test_at_a_rate_it_sends_what_is_due() -> None:
    async with _server() as (url, taken):
        sent = await send(Order(url, "key", REQUESTS, connections=2, seconds=0.5, per_second=100))

    assert sum(sent.answers.values()) == pytest.approx(50, abs=1)
    assert len(taken) == sent.accepted
    assert len(sent.times) == sent.accepted


async def test_a_refusal_is_counted_as_what_it_is() -> None:
    async with _server("503 Service Unavailable") as (url, _):
        sent = await send(Order(url, "key", REQUESTS, connections=1, seconds=30, most=2))

    assert (sent.answers["503"], sent.counted) == (2, 0)
    with pytest.raises(RuntimeError, match="503"):
        sent.require_all_accepted()


async def test_questions_are_asked_one_after_the_other_and_200_is_their_good_answer() -> None:
    async with _server("200 OK") as (url, taken):
        sent = await send(Order(url, "key", Questions(["/a", "/b"]), connections=1, seconds=30, most=3))

    assert [request["request"] for request in taken] == [f"GET {path} HTTP/1.1" for path in ("/a", "/b", "/a")]
    assert sent.accepted == 3
    sent.require_all_accepted()


async def test_at_a_rate_every_connection_has_its_turn() -> None:
    async with _server() as (url, taken):
        await send(Order(url, "key", REQUESTS, connections=5, seconds=0.2, per_second=100))

    assert len({request["from"] for request in taken}) == 5


async def test_what_was_due_and_refused_is_counted_apart_from_the_times() -> None:
    async with _server("503 Service Unavailable") as (url, _):
        sent = await send(Order(url, "key", REQUESTS, connections=2, seconds=0.2, per_second=100))

    assert sent.failed == sent.answers["503"]
    assert sent.times == []
