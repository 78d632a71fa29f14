"""Unusual requests that some clients send get documented answers from both services."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import pytest

from ingest.routes import BATCH, TRACK
from runtime.settings import Settings
from schemas.problems import PROBLEM_MEDIA_TYPE
from stream.server.connection import Redis
from tests.support.raw_http import CLOSE, EVENT, HOST, READER, Place, answer, both, get, post
from tests.support.reading import SYSTEM
from web.server import http_protocol


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


LONG = "x" * 70_000
UNPARSED = {
    "a long path": (get(f"/{LONG}"), 414, "uri_too_long"),
    "a long query": (get(f"{SYSTEM}?user_id={LONG}"), 414, "uri_too_long"),
    "a long query, and nothing more": (f"GET {SYSTEM}?user_id={LONG}".encode(), 414, "uri_too_long"),
    "a long header": (get(SYSTEM, more=HOST + b"x-long: " + LONG.encode() + b"\r\n"), 431, "headers_too_large"),
    "a long header without end": (get(SYSTEM, more=HOST + b"x-long: " + LONG.encode())[:-2], 431, "headers_too_large"),
    "no HTTP": (b"nonsense\r\n\r\n", 400, "malformed_request"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "malformed_request"),
    "HTTP/2 with prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed_request"),
    "another version": (b"GET / HTTP/3.7\r\nhost: x\r\n\r\n", 400, "malformed_request"),
    "a method of nobody": (b"BREW / HTTP/1.1\r\nhost: x\r\n\r\n", 400, "malformed_request"),
    "bare line feeds": (b"GET /livez HTTP/1.1\nhost: x\n\n", 400, "malformed_request"),
    "a path that is not ASCII": ("GET /é HTTP/1.1\r\nhost: x\r\n\r\n".encode(), 400, "malformed_request"),
    "two lengths": (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400, "malformed_request"),
    "a length and chunks": (
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "malformed_request",
    ),
    "a broken chunk": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        400,
        "malformed_request",
    ),
}


@pytest.mark.parametrize("service", ["ingest", "dashboard"])
async def test_what_cannot_be_parsed_is_a_problem_and_the_end(places: dict[str, Place], service: str) -> None:
    for name, (request, status, code) in UNPARSED.items():
        given = await answer(places[service], request)
        assert (given.status, given.code) == (status, code), name
        assert given.headers["content-type"] == PROBLEM_MEDIA_TYPE
        assert given.headers["connection"] == "close"
        assert given.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in given.headers["content-security-policy"]
        assert json.loads(given.body)["instance"] == given.headers["x-request-id"]
        assert b"xxxx" not in given.body


async def test_a_slow_client_gets_408(ingest: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.05)
    given = await answer(ingest, b"GET / HT")
    assert (given.status, given.code) == (408, "request_timeout")


@pytest.mark.parametrize("more", [b"", HOST, b"connection: keep-alive\r\n", HOST + b"connection: close\r\n"])
async def test_http_1_0_is_answered_and_closed(ingest: Place, dashboard: Place, more: bytes) -> None:
    sent = await answer(ingest, post(EVENT.encode(), version=b"1.0", more=more))
    assert (sent.status, sent.headers["connection"]) == (202, "close")
    asked = await answer(dashboard, get(SYSTEM, version=b"1.0", more=more))
    assert (asked.status, asked.headers["connection"]) == (200, "close")


BODIES: dict[str, tuple[bytes, int, str | None]] = {
    "a byte order mark of UTF-8": (b"\xef\xbb\xbf" + EVENT.encode(), 202, None),
    "UTF-16": (EVENT.encode("utf-16"), 400, "UTF-16"),
    "UTF-16, the other way round": (b"\xfe\xff" + EVENT.encode("utf-16-be"), 400, "UTF-16"),
    "UTF-32": (EVENT.encode("utf-32"), 400, "UTF-32"),
    "UTF-32, the other way round": (b"\x00\x00\xfe\xff" + EVENT.encode("utf-32-be"), 400, "UTF-32"),
    "nothing": (b"", 400, "empty"),
    "blanks": (b" \r\n", 400, "not JSON"),
}


@pytest.mark.parametrize(("body", "status", "said"), BODIES.values(), ids=BODIES.keys())
async def test_a_body_in_another_form(ingest: Place, body: bytes, status: int, said: str | None) -> None:
    given = await answer(ingest, post(body))
    assert given.status == status, given.body
    if said is not None:
        assert given.code == "unreadable_body"
        assert said in json.loads(given.body)["detail"]


async def test_a_batch_and_a_call_of_segment_may_begin_with_a_mark_too(ingest: Place) -> None:
    batch = b"\xef\xbb\xbf[" + EVENT.encode() + b"]"
    assert (await answer(ingest, post(batch, BATCH))).status == 202
    call = {"type": "track", "event": "XP Earned", "userId": "u", "messageId": "m", "properties": {"xp_amount": 1}}
    assert (await answer(ingest, post(b"\xef\xbb\xbf" + json.dumps(call).encode(), "/v1/track"))).status == 200


async def test_one_slash_more_at_the_end_is_the_same_path(ingest: Place, dashboard: Place) -> None:
    assert (await answer(ingest, post(EVENT.encode(), f"{TRACK}/"))).status == 202
    for path in ("/livez/", "/readyz/", "/docs/"):
        assert (await answer(ingest, get(path))).status == 200
    for path in ("/livez/", f"{SYSTEM}/", f"{SYSTEM}/?hours=1"):
        assert (await answer(dashboard, get(path))).status == 200
    for place in (ingest, dashboard):
        for path in ("/livez//", "//livez", "/nowhere/", "/api//analytics/events/track"):
            given = await answer(place, get(path))
            assert (given.status, given.code) == (404, "not_found"), path


async def test_a_slash_that_is_encoded_is_a_slash(ingest: Place, dashboard: Place) -> None:
    assert (await answer(ingest, post(EVENT.encode(), f"/{TRACK[1:].replace('/', '%2F')}"))).status == 202
    assert (await answer(dashboard, get(f"/{SYSTEM[1:].replace('/', '%2f')}"))).status == 200


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "QUERY"])
async def test_a_method_that_is_not_for_a_path_is_a_405(ingest: Place, dashboard: Place, method: str) -> None:
    for place, path, allowed in ((ingest, TRACK, "post"), (dashboard, SYSTEM, "get")):
        given = await answer(place, f"{method} {path} HTTP/1.1\r\n".encode() + HOST + READER + CLOSE + b"\r\n")
        assert (given.status, given.headers["allow"]) == (405, allowed)
        assert given.headers["content-type"] == PROBLEM_MEDIA_TYPE


@pytest.mark.parametrize("service", ["ingest", "dashboard"])
async def test_only_an_id_of_a_request_is_repeated(places: dict[str, Place], service: str) -> None:
    for given, is_kept in (("4bf92f3577b34da6", True), ("415-555-2671", False), ("236588185607304759", False)):
        told = await answer(
            places[service], get("/livez", more=HOST + CLOSE + b"x-request-id: " + given.encode() + b"\r\n")
        )
        assert (told.headers["x-request-id"] == given) is is_kept
        assert re.fullmatch("[0-9a-f]{16}", told.headers["x-request-id"])
