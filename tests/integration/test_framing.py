"""Request framing and headers: each irregularity has exactly one documented answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.questions.live import SOCKET_PATH
from ingest.routes import TRACK
from runtime.settings import Settings
from stream.server.connection import Redis
from telemetry import metrics
from tests.support.access import READ_KEY, WRITE_KEY
from tests.support.entries import stream_entries
from tests.support.raw_http import CLOSE, EVENT, HOST, JSON, Answer, Place, answer, answers, both, get, post
from tests.support.reading import SYSTEM
from tests.support.serving import served

API = Path(__file__).parents[2] / "docs" / "api.md"
BODY = EVENT.encode()
CHUNKS = b"%x\r\n%s\r\n" % (len(BODY), BODY)
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n"


@pytest.fixture
async def places(settings: Settings, redis: Redis) -> AsyncIterator[dict[str, Place]]:
    async with both(settings, redis) as places:
        yield places


@pytest.fixture
def ingest(places: dict[str, Place]) -> Place:
    return places["ingest"]


@pytest.fixture
def dashboard(places: dict[str, Place]) -> Place:
    return places["dashboard"]


def sent(headers: bytes, body: bytes = BODY, *, line: bytes = b"POST %s HTTP/1.1", host: bytes = HOST) -> bytes:
    line = line.replace(b"%s", TRACK.encode())
    return line + b"\r\n" + JSON + host + headers + CLOSE + b"\r\n" + body


def whole(headers: bytes = b"", **options: bytes) -> bytes:
    return sent(LENGTH + headers, **options)


def chunked(body: bytes = CHUNKS + b"0\r\n\r\n", headers: bytes = CHUNKED) -> bytes:
    return sent(headers, body)


MALFORMED, NO_HOST, REPEATED = "malformed_request", "invalid_host", "repeated_header"
TOO_LARGE = "headers_too_large"
STATUS = {None: 202, MALFORMED: 400, NO_HOST: 400, REPEATED: 400, TOO_LARGE: 431}
ACCEPTED = None
"""The answer without the irregularity."""

# Each key is a row of the table in docs/api.md. All requests of a row have the same answer.
ROWS: dict[str, tuple[str | None, list[bytes]]] = {
    "a header continued on the next line": (
        MALFORMED,
        [
            whole(b"x-a: 1\r\n 2\r\n"),
            whole(b"x-a: 1\r\n\t2\r\n"),
            whole(b"x-a:\r\n 2\r\n"),
            whole(host=b" host: x\r\n"),
        ],
    ),
    "a blank in or behind a header's name, or no name": (
        MALFORMED,
        [whole(b"x-a : 1\r\n"), whole(b"x-a\t: 1\r\n"), whole(b"x a: 1\r\n"), whole(b": 1\r\n"), whole(b"x-a\r\n")],
    ),
    "an underscore in a header's name": (ACCEPTED, [whole(b"x_api_key: other\r\nContent_Length: 1\r\n")]),
    "blanks around a value": (
        ACCEPTED,
        [sent(b"content-length: \t %d \t\r\n" % len(BODY)), chunked(headers=b"transfer-encoding:chunked \r\n")],
    ),
    "NUL or another control character in the head": (
        MALFORMED,
        [whole(b"x-a: 1%b2\r\n" % one) for one in (b"\0", b"\1", b"\x0b", b"\x7f", b"\r")]
        + [whole(b"x\0a: 1\r\n"), whole(line=b"POST %s\0 HTTP/1.1"), whole(line=b"POST %s\x7f HTTP/1.1")],
    ),
    "a line that ends without CR, or with two": (
        MALFORMED,
        [whole(b"x-a: 1\n"), whole(b"x-a: 1\r\r\n"), sent(LENGTH)[: -len(BODY) - 2] + b"\n" + BODY],
    ),
    "empty lines before the request line, more blanks in it": (
        ACCEPTED,
        [b"\r\n\r\n" + whole(), whole(line=b"POST  %s  HTTP/1.1")],
    ),
    "another version or protocol": (
        MALFORMED,
        [whole(line=b"POST %s HTTP/" + one) for one in (b"0.9", b"1.2", b"1.10", b"2.0", b"3.0", b"1", b"1.1 ")]
        + [whole(line=b"POST %s"), whole(line=b"POST %s http/1.1")],
    ),
    "Content-Length twice, or not a whole number": (
        MALFORMED,
        [whole(LENGTH), whole(b"content-length: 1\r\n")]
        + [
            sent(b"content-length: %b\r\n" % one)
            for one in (b"5, 5", b"+5", b"-5", b"5 5", b"0x5", b"5_0", b"5.0", b"", b"99999999999999999999999")
        ],
    ),
    "Content-Length and Transfer-Encoding": (
        MALFORMED,
        [chunked(headers=LENGTH + CHUNKED), chunked(headers=CHUNKED + LENGTH)],
    ),
    "Transfer-Encoding other than one `chunked`": (
        MALFORMED,
        [
            chunked(headers=b"transfer-encoding: %b\r\n" % one)
            for one in (
                b"identity",
                b"gzip, chunked",
                b"chunked, gzip",
                b"chunked, chunked",
                b"xchunked",
                b"chunked;a=1",
                b"",
            )
        ]
        + [chunked(headers=CHUNKED + one) for one in (CHUNKED, b"transfer-encoding: identity\r\n")],
    ),
    "Transfer-Encoding over HTTP/1.0": (MALFORMED, [chunked().replace(b"HTTP/1.1", b"HTTP/1.0")]),
    "a chunk's size that is not hexadecimal, a chunk without CRLF": (
        MALFORMED,
        [chunked(one + b"\r\n{}\r\n0\r\n\r\n") for one in (b"zz", b"+2", b"0x2", b"2 ", b"", b"f" * 17)]
        + [chunked(one) for one in (b"2\n{}\r\n0\r\n\r\n", b"2\r\n{}\n0\r\n\r\n", b"2\r\n{}0\r\n\r\n", b"0\n\n")],
    ),
    "an extension of a chunk, zeros before its size": (
        ACCEPTED,
        [chunked(b"000%x;a=b\r\n%s\r\n0;c\r\n\r\n" % (len(BODY), BODY))],
    ),
    "a trailer": (
        ACCEPTED,
        [chunked(CHUNKS + b"0\r\nx-more: 1\r\nauthorization: Bearer stranger\r\ncontent-type: text/plain\r\n\r\n")],
    ),
    "a trailer about framing: Connection, Upgrade, Content-Length, Transfer-Encoding": (
        MALFORMED,
        [
            chunked(CHUNKS + b"0\r\nx-more: 1\r\n%b\r\n\r\n" % one)
            for one in (b"connection: close", b"upgrade: h2c", b"content-length: 2", b"transfer-encoding: chunked")
        ],
    ),
    "more than 32 KiB of trailers, in the same read as the head or later": (
        TOO_LARGE,
        [chunked(CHUNKS + b"0\r\n" + b"x-more: 1\r\n" * 4_000 + b"\r\n")],
    ),
    "no Host over HTTP/1.1, two, or one that is no name or address with perhaps a port": (
        NO_HOST,
        [whole(host=b""), whole(HOST), whole(b"Host: y\r\n")]
        + [
            whole(host=b"host: %b\r\n" % one)
            for one in (
                b"",
                b" ",
                b"a b",
                b"a/b",
                b"a@b",
                b"a,b",
                b"[::1",
                b"::1",
                b"a:b",
                b"a:1:2",
                b"http://a",
                b"\xe4",
            )
        ]
        + [whole(line=b"POST %s HTTP/1.0", host=one) for one in (HOST + HOST, b"host: a b\r\n")],
    ),
    "any other Host, none over HTTP/1.0": (
        ACCEPTED,
        [
            whole(host=b"host: %b\r\n" % one)
            for one in (b"a.example", b"A_b.example:8080", b"127.0.0.1:1", b"[::1]:8080", b"xn--bcher-kva.example.")
        ]
        + [whole(line=b"POST %s HTTP/1.0", host=b""), whole(line=b"POST http://other.example%s HTTP/1.1")],
    ),
    "a header twice that has one value": (
        REPEATED,
        [
            whole(b"%b: 1\r\n%b: 1\r\n" % (name, name.upper()))
            for name in (b"x-api-key", b"content-encoding", b"origin", b"x-request-id", b"x-analytics-dropped")
        ]
        + [whole(b"Authorization: Bearer %b\r\n" % WRITE_KEY.encode()), whole(b"Content-Type: application/json\r\n")],
    ),
    "any other header twice": (
        ACCEPTED,
        [whole(b"accept: a\r\naccept: b\r\nx-forwarded-for: 1\r\nx-forwarded-for: 2\r\n")],
    ),
    "Authorization and X-API-Key": (ACCEPTED, [whole(b"x-api-key: stranger\r\n")]),
}


async def test_each_oddity_has_one_answer(ingest: Place, redis: Redis) -> None:
    accepted = 0
    for row, (code, requests) in ROWS.items():
        for request in requests:
            given = await answer(ingest, request)
            assert (given.status, given.code) == (STATUS[code], code), (row, request)
            assert given.headers["connection"] == "close"
            accepted += code is None
        assert len(await stream_entries(redis)) == accepted, row


def test_the_table_for_readers_has_the_same_rows() -> None:
    section = API.read_text(encoding="utf-8").partition("### Odd requests\n")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    told = {row: found.groups() if (found := re.fullmatch("(4..) `(.*)`", one)) else None for row, one in lines}
    assert told == {row: (str(STATUS[code]), code) if code else None for row, (code, _) in ROWS.items()}


async def test_the_read_service_has_the_same_answers(dashboard: Place) -> None:
    cases = {
        get(SYSTEM, more=CLOSE): NO_HOST,
        get(SYSTEM, more=HOST + HOST + CLOSE): NO_HOST,
        get(SYSTEM, more=HOST + CLOSE + b"authorization: Bearer x\r\n"): REPEATED,
        get(SYSTEM, more=HOST + CLOSE + b"x-a: 1\r\n 2\r\n"): MALFORMED,
        get(SYSTEM, more=HOST + CLOSE + CHUNKED + b"content-length: 3\r\n") + b"0\r\n\r\n": MALFORMED,
        get(SYSTEM, version=b"2.0"): MALFORMED,
    }
    for request, code in cases.items():
        given = await answer(dashboard, request)
        assert (given.status, given.code) == (400, code), request


MALFORMED_REQUESTS = [
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\n" + CHUNKED + b"\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\n" + CHUNKED + b"\r\n2\r\n{}\r\n0\r\nconnection: close\r\n\r\n",
]


async def test_requests_before_a_malformed_one_are_answered_first_then_it_is(
    ingest: Place, dashboard: Place, redis: Redis
) -> None:
    def statuses(given: list[Answer]) -> list[int]:
        return [one.status for one in given]

    good, question = post(BODY, more=HOST), get(SYSTEM, more=HOST)
    for bad in MALFORMED_REQUESTS:
        for before in range(3):
            given = await answers(ingest, good * before + bad)
            assert statuses(given) == [202] * before + [400], bad
            assert (given[-1].code in (MALFORMED, NO_HOST), given[-1].headers["connection"]) == (True, "close")
            assert statuses(await answers(dashboard, question * before + bad + question)) == [200] * before + [400]
        # after `Connection: close`, further requests get no answer
        assert statuses(await answers(ingest, post(BODY) + bad)) == [202]
    assert len(await stream_entries(redis)) == 4 * len(MALFORMED_REQUESTS)


async def test_a_request_before_another_is_told_that_its_client_left() -> None:
    began, told = asyncio.Event(), asyncio.Event()

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        began.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        told.set()

    async with served(app) as address:
        host, _, port = address.partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(get("/") + get("/"))
        await began.wait()
        writer.close()
        await asyncio.wait_for(told.wait(), 10)


async def test_a_handshake_behind_a_request_that_is_being_answered_opens_no_socket(dashboard: Place) -> None:
    handshake = (
        b"GET %s HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nauthorization: Bearer %s\r\n\r\n"
    ) % (SOCKET_PATH.encode(), READ_KEY.encode())
    given = await answers(dashboard, get(SYSTEM, more=HOST) + handshake + get(SYSTEM))
    assert [one.status for one in given] == [200, 426, 200]


async def test_responses_do_not_repeat_the_requested_host(ingest: Place, dashboard: Place) -> None:
    foreign = b"host: evil.example\r\n" + CLOSE
    for place in (ingest, dashboard):
        for path in ("/", "/docs/", "/docs", "/livez/", "/readyz//", "//evil.example/", "/api/analytics", f"{SYSTEM}/"):
            given = await answer(place, get(path, more=foreign))
            assert "location" not in given.headers
            assert not 300 <= given.status < 400
            assert b"evil.example" not in given.body


async def test_each_refusal_is_counted(ingest: Place) -> None:
    def counted(code: str) -> float:
        return metrics.registry.get_sample_value("analytics_refused_requests_total", {"code": code}) or 0

    before = counted(MALFORMED), counted(NO_HOST)
    for _ in range(3):
        await answer(ingest, b"nonsense\r\n\r\n")
    await answer(ingest, get("/livez", more=CLOSE))
    assert (counted(MALFORMED), counted(NO_HOST)) == (before[0] + 3, before[1] + 1)
