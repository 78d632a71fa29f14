"""Hostile HTTP clients use bounded memory and time, and answers reveal nothing internal."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from dashboard.server import open_services
from dashboard.services import Services
from ingest.routes import BATCH, TRACK
from ingest.server import create_app
from runtime.settings import Settings
from stream.server.connection import Redis
from tests.support.access import WRITE_KEY
from tests.support.reading import OVERVIEW, READER, SYSTEM, bearer, client_of
from tests.support.serving import served
from web.server import http_protocol
from web.server.protocol_errors import MAX_HEAD_BYTES

EVENT = {"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 5}}
BODY = json.dumps([EVENT] * 50).encode()
HEAD = f"POST {BATCH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {WRITE_KEY}\r\ncontent-type: application/json\r\n"


@pytest.fixture
async def place(settings: Settings, redis: Redis) -> AsyncIterator[tuple[str, int]]:
    async with served(create_app(settings, redis, asyncio.Event())) as address:
        host, _, port = address.partition(":")
        yield host, int(port)


async def answered(place: tuple[str, int], *parts: bytes) -> bytes:
    """Send the parts as far as the server accepts them; return its output until it closes."""
    reader, writer = await asyncio.open_connection(*place)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await reader.read()
    except ConnectionError:
        # closing with unread bytes causes a TCP reset, which may overtake the answer
        return b""
    finally:
        writer.close()


MEGABYTES = 8 * 1024**2
TOO_MUCH = {
    "one long header": HEAD.encode() + b"x-long: " + b"x" * MEGABYTES,
    "many headers": HEAD.encode() + b"x-more: 1\r\n" * (MEGABYTES // 11),
    "a long path": b"GET /" + b"x" * MEGABYTES,
    "a header's name without end": b"GET / HTTP/1.1\r\n" + b"x" * MEGABYTES,
    "trailers": HEAD.encode() + b"transfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n" + b"x-more: 1\r\n" * 10**6,
    "an extension of a chunk": HEAD.encode() + b"transfer-encoding: chunked\r\n\r\n2;" + b"x" * MEGABYTES,
}


@pytest.mark.parametrize("flood", TOO_MUCH.values(), ids=TOO_MUCH.keys())
async def test_a_flood_beside_a_body_is_cut_off(place: tuple[str, int], flood: bytes) -> None:
    parts = [flood[at : at + MAX_HEAD_BYTES] for at in range(0, len(flood), MAX_HEAD_BYTES)]
    reply = await asyncio.wait_for(answered(place, *parts), 30)
    assert reply == b"" or re.match(rb"HTTP/1.1 4\d\d ", reply)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://{place[0]}:{place[1]}/livez")).status_code == 200


async def test_a_head_of_the_largest_size_is_read(place: tuple[str, int]) -> None:
    filler = b"x-filler: " + b"x" * (MAX_HEAD_BYTES - len(HEAD) - 200) + b"\r\n"
    request = HEAD.encode() + filler + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
    parts = [request[at : at + 1_000] for at in range(0, len(request), 1_000)]
    assert (await answered(place, *parts)).startswith(b"HTTP/1.1 202 ")


async def test_chunks_and_pipelined_requests_are_no_flood(place: tuple[str, int]) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(BODY[at : at + 16]), BODY[at : at + 16]) for at in range(0, len(BODY), 16))
    chunked = HEAD.encode() + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    last = HEAD.encode() + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
    reply = await answered(place, chunked * 20 + last)
    assert reply.count(b"HTTP/1.1 202 ") == 21


async def test_a_body_nobody_reads_is_no_flood_beside_the_next_request(place: tuple[str, int]) -> None:
    stranger = f"POST {BATCH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer stranger\r\n".encode()
    refused = stranger + b"content-length: 900000\r\n\r\n" + b"x" * 900_000
    small = HEAD.encode() + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    last = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    reply = await answered(place, (refused + small) * 10 + last)
    assert [reply.count(b"HTTP/1.1 %d " % status) for status in (401, 202, 200, 431)] == [10, 10, 1, 0]


async def test_a_head_that_never_ends_is_answered_408(place: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.05)
    for begun in (b"", b"GET / HT", HEAD.encode()):
        assert (await answered(place, begun)).startswith(b"HTTP/1.1 408 ")
    # the limit applies to the head: an answer, or a pause between two requests, may take longer
    async with httpx.AsyncClient() as client:
        for _ in range(2):
            assert (await client.get(f"http://{place[0]}:{place[1]}/readyz")).status_code == 200


async def test_a_body_that_never_ends_is_answered_408(place: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.05)
    long = HEAD.encode() + b"content-length: %d\r\n\r\n" % len(BODY)
    for begun in (long, long + BODY[:10], HEAD.encode() + b"transfer-encoding: chunked\r\n\r\n2\r\n[]\r\n"):
        assert (await answered(place, begun)).startswith(b"HTTP/1.1 408 ")


async def test_a_body_nobody_waits_for_is_not_answered_twice(
    place: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.05)
    stranger = f"POST {BATCH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer stranger\r\ncontent-length: 9\r\n\r\n["
    reply = await answered(place, stranger.encode())
    assert reply.startswith(b"HTTP/1.1 401 ")
    assert reply.count(b"HTTP/1.1") == 1


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as services:
        yield services


PAGE = {"Origin": "https://learn.example"}
PREFLIGHT = PAGE | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}


async def test_no_page_of_another_origin_may_read_an_answer(services: Services) -> None:
    async with client_of(services) as client:
        for reply in (
            await client.get(SYSTEM, headers=READER | PAGE),
            await client.options(SYSTEM, headers=PREFLIGHT),
        ):
            assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_pages_of_the_origins_that_are_named_may(services: Services) -> None:
    opened = dataclasses.replace(services, cors_origins=("https://learn.example",))
    async with client_of(opened) as client:
        reply = await client.get(SYSTEM, headers=READER | PAGE)
        assert reply.headers["access-control-allow-origin"] == "https://learn.example"
        assert "access-control-allow-credentials" not in reply.headers
        preflight = await client.options(SYSTEM, headers=PREFLIGHT)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-methods"] == "GET"
        for refused in (
            PREFLIGHT | {"Origin": "https://evil.example"},
            PREFLIGHT | {"Origin": "null"},
            PREFLIGHT | {"Access-Control-Request-Method": "DELETE"},
        ):
            assert (await client.options(SYSTEM, headers=refused)).status_code == 400
        other = await client.get(SYSTEM, headers=READER | {"Origin": "https://learn.example.evil"})
        assert "access-control-allow-origin" not in other.headers


async def test_what_is_no_origin_is_refused(services: Services) -> None:
    opened = dataclasses.replace(services, cors_origins=("https://learn.example",))
    async with client_of(services) as closed, client_of(opened) as client:
        for origin in ("", "*", "http://[", "http://a:b", "https://learn.example/", "https://learn.example, https://b"):
            for reply in (
                await client.get(SYSTEM, headers=READER | {"Origin": origin}),
                await client.options(SYSTEM, headers=PREFLIGHT | {"Origin": origin}),
                await closed.get(SYSTEM, headers=READER | {"Origin": origin}),
            ):
                assert (reply.status_code, reply.json()["code"]) == (403, "foreign_origin")
                assert not [name for name in reply.headers if name.startswith("access-control")]
        assert (await client.get(SYSTEM, headers=READER | {"Origin": "null"})).status_code == 200


TELLING = re.compile(r"(?i)traceback|uvicorn|starlette|fastapi|asyncpg|python/|pydantic|\.py\b|/site-packages/|select ")


async def test_responses_reveal_no_internals(services: Services, settings: Settings, redis: Redis) -> None:
    transport = httpx.ASGITransport(create_app(settings, redis, asyncio.Event()))
    async with (
        client_of(services) as dashboard,
        httpx.AsyncClient(transport=transport, base_url="http://ingest") as ingest,
    ):
        replies = [
            await dashboard.get("/nothing"),
            await dashboard.post(SYSTEM, headers=READER),
            await dashboard.get(OVERVIEW, headers=READER),
            await dashboard.get(SYSTEM, params={"hours": "x"}, headers=READER),
            await dashboard.get("/api/analytics/privacy/users/%00", headers=READER),
            await ingest.get("/nothing"),
            await ingest.post(TRACK, content=b"{", headers=bearer(WRITE_KEY)),
            await ingest.post(TRACK, json={"event_type": "x"}, headers=bearer(WRITE_KEY)),
            await ingest.post(TRACK, json=EVENT),
        ]
    for reply in replies:
        assert reply.status_code >= 400
        assert not TELLING.search(reply.text)
        assert not {"server", "x-powered-by", "via"} & set(reply.headers)
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in reply.headers["content-security-policy"]


async def test_the_real_server_does_not_name_itself(place: tuple[str, int]) -> None:
    for request in (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", b"nonsense\r\n\r\n"):
        reply = (await answered(place, request)).decode()
        assert reply.startswith("HTTP/1.1 4")
        assert not TELLING.search(reply)
        assert "server:" not in reply.lower()
