"""Trailers never become headers of a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest

from ingest.routes import BATCH
from ingest.server import create_app
from runtime.settings import Settings
from stream.server.connection import Redis
from telemetry import metrics
from tests.support.access import READ_KEY, WRITE_KEY
from tests.support.entries import stream_entries
from tests.support.raw_http import CLOSE, EVENT, HOST, Place, answer, answers, both, get
from tests.support.reading import SYSTEM
from tests.support.serving import served
from web.failed_attempts import BURST
from web.server.protocol_errors import MAX_HEAD_BYTES

GOOD = b"authorization: Bearer " + WRITE_KEY.encode()
BAD = b"authorization: Bearer stranger"
TYPE = b"content-type: application/json"
ID = b"4bf92f3577b34da6"
CHUNK = b"%x\r\n[%s]\r\n" % (len(EVENT) + 2, EVENT.encode())

TRAILERS = [
    b"Authorization: Bearer " + WRITE_KEY.encode(),
    b"X-API-Key: " + WRITE_KEY.encode(),
    b"X-Forwarded-For: 203.0.113.9",
    b"X-Forwarded-Proto: https",
    b"Content-Type: text/plain",
    b"Content-Encoding: gzip",
    b"Host: evil.example",
    b"Origin: https://evil.example",
    b"X-Request-Id: " + ID,
    b"X-Analytics-Dropped: 5",
    b"Idempotency-Key: k",
    b"Expect: 100-continue",
    b"Cookie: a=b",
    b"X-Empty:",
]


def batch(*headers: bytes, trailers: tuple[bytes, ...] = (), body: bytes = CHUNK, close: bytes = CLOSE) -> list[bytes]:
    """Return the three parts of a request: head, body and trailers."""
    lines = b"".join(header + b"\r\n" for header in headers)
    head = b"POST %s HTTP/1.1\r\n%s%stransfer-encoding: chunked\r\n%s\r\n" % (BATCH.encode(), HOST, lines, close)
    return [head, body, b"0\r\n" + b"".join(trailer + b"\r\n" for trailer in trailers) + b"\r\n"]


class Recorder:
    """An application that records its headers after it has read the body."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.headers: list[list[tuple[bytes, bytes]]] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            more = message["more_body"]
            self.reads.set()
        self.headers.append(list(scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


@pytest.mark.parametrize("trailer", TRAILERS)
async def test_an_application_is_given_no_trailer(trailer: bytes) -> None:
    recorder = Recorder()
    async with served(recorder) as address:
        host, _, port = address.partition(":")
        place = (host, int(port))
        *start, end = batch(BAD, trailers=(b"x-first: 1", trailer))
        await answer(place, b"".join([*start, end]))
        # in a separate segment, after the application has begun to read
        recorder.reads.clear()
        reader, writer = await asyncio.open_connection(*place)
        writer.write(b"".join(start))
        await recorder.reads.wait()
        writer.write(end)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        # the next request on the connection has none either
        pipelined = b"".join(batch(BAD, trailers=(trailer,), close=b"")) * 2
        assert len(await answers(place, pipelined + get("/"))) == 3
    own = [(b"host", b"x"), (b"authorization", b"Bearer stranger"), (b"transfer-encoding", b"chunked")]
    assert [[one for one in given if one[0] != b"connection"] for given in recorder.headers[:4]] == [own] * 4
    assert [name for name, _ in recorder.headers[4]] == [b"authorization", b"host", b"connection"]


MORE = b"x-more: 1"
MOST = MAX_HEAD_BYTES // len(b"x-more1:\r\n")


@pytest.mark.parametrize("events", [1, 500], ids=["a small body", "a large body"])
@pytest.mark.parametrize("is_later", [False, True], ids=["in one read", "in a read of their own"])
async def test_trailers_have_the_limit_of_a_head(events: int, is_later: bool) -> None:
    recorder = Recorder()
    content = b"x" * len(EVENT) * events
    async with served(recorder) as address:
        host, _, port = address.partition(":")
        for count, status in ((MOST, 200), (MOST + 1, 431)):
            *start, end = batch(trailers=(MORE,) * count, body=b"%x\r\n%s\r\n" % (len(content), content))
            reader, writer = await asyncio.open_connection(host, int(port))
            recorder.reads.clear()
            with closing(writer):
                writer.write(b"".join(start))
                if is_later:
                    await recorder.reads.wait()
                writer.write(end)
                reply = await reader.read()
            assert reply.startswith(b"HTTP/1.1 %d " % status)
            assert reply.count(b"HTTP/1.1 ") == 1
            assert (b"headers_too_large" in reply) == (status == 431)
    assert len(recorder.headers) == 1


@pytest.fixture
async def places(settings: Settings, redis: Redis) -> AsyncIterator[dict[str, Place]]:
    async with both(settings, redis) as places:
        yield places


async def test_a_key_in_a_trailer_is_ignored(places: dict[str, Place], redis: Redis) -> None:
    ingest, dashboard = places["ingest"], places["dashboard"]
    key = b"x-api-key: " + WRITE_KEY.encode()
    for head in ((BAD, TYPE), (TYPE,)):
        for trailer in (GOOD, key):
            assert (await answer(ingest, b"".join(batch(*head, trailers=(trailer,))))).status == 401
    assert await stream_entries(redis) == []
    assert (await answer(ingest, b"".join(batch(GOOD, TYPE, trailers=(BAD, b"x-api-key: s"))))).status == 202

    question = b"GET %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n" % SYSTEM.encode()
    for name in (b"authorization: Bearer ", b"x-api-key: "):
        end = b"\r\n2\r\n{}\r\n0\r\n" + name + READ_KEY.encode() + b"\r\n\r\n"
        assert (await answer(dashboard, question + end)).status == 401
        assert (await answer(dashboard, question + BAD + b"\r\n" + end)).status == 401


async def test_a_body_is_read_as_the_head_says(places: dict[str, Place], redis: Redis) -> None:
    ingest = places["ingest"]
    kept = (b"content-type: text/plain", b"content-encoding: gzip", b"x-request-id: " + ID, b"x-analytics-dropped: 5")
    before = dropped()
    given = await answer(ingest, b"".join(batch(GOOD, TYPE, trailers=kept)))
    assert given.status == 202
    assert given.headers["x-request-id"] != ID.decode()
    assert dropped() == before
    assert len(await stream_entries(redis)) == 1
    assert (await answer(ingest, b"".join(batch(GOOD, trailers=(TYPE,))))).status == 415
    told = await answer(places["dashboard"], b"".join(batch(trailers=(b"x-request-id: " + ID,))))
    assert told.headers["x-request-id"] != ID.decode()


def dropped() -> float:
    found = metrics.registry.collect()
    return sum(one.value for family in found if family.name == "analytics_sdk_dropped_events" for one in family.samples)


async def test_a_trailer_names_no_other_address(settings: Settings, redis: Redis) -> None:
    app = create_app(settings, redis, asyncio.Event())
    async with served(app, trusted_proxies=("127.0.0.1",)) as address:
        host, _, port = address.partition(":")
        head, body, _ = batch(BAD, TYPE, b"x-forwarded-for: 203.0.113.7")
        ends = [b"0\r\nx-forwarded-for: 198.51.100.%d\r\n\r\n" % one for one in range(BURST + 5)]
        statuses = [(await answer((host, int(port)), head + body + end)).status for end in ends]
    assert statuses[:BURST] == [401] * BURST
    assert 429 in statuses[BURST:]
