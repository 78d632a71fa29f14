"""Ingest over HTTP on a real stream: accepted events are stored, others are reported, and nothing is a 500."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from ingest.append_queue import AppendQueue
from ingest.routes import BATCH, TRACK
from ingest.server import create_app
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.entry import decode
from schemas.identifiers import canonical_event_id
from stream.keys import stream_key
from stream.server.connection import connect
from tests.support.access import ADMIN_KEY, API_KEYS, PSEUDONYM_KEYS, WRITE_KEY
from tests.support.entries import stream_entries
from tests.support.events import uuid7

AUTHORIZED = {"Authorization": f"Bearer {WRITE_KEY}"}
GOOD = {"event_type": "xp_earned", "user_id": "u", "properties": {"xp_amount": 5}}


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Ingest runs without DATABASE_URL."""
    return Settings.model_validate(
        {
            "redis_url": redis_url,
            "pseudonym_keys": PSEUDONYM_KEYS,
            "api_keys": json.loads(API_KEYS),
        }
    )


@pytest.fixture
async def client(settings: Settings, redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(settings, redis, asyncio.Event()))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=AUTHORIZED) as client:
        yield client


async def stored(redis: Redis) -> list[AcceptedEvent]:
    return [decode(fields) for _, fields in await stream_entries(redis)]


def now() -> datetime:
    return datetime.now(UTC)


async def test_an_accepted_event_is_in_the_stream_under_its_pseudonym(
    client: httpx.AsyncClient, redis: Redis, settings: Settings
) -> None:
    reply = await client.post(TRACK, json=GOOD)
    assert reply.status_code == 202
    [found] = await stored(redis)
    assert reply.json() == {"event_id": str(found.event_id), "status": "accepted"}
    assert found.user_hash == settings.pseudonymizer().pseudonym("u")
    assert (found.event_type, found.source, json.loads(found.properties)) == ("xp_earned", "tests", {"xp_amount": 5})
    assert found.event_id.version == 7


async def test_changes_before_storage_are_reported(client: httpx.AsyncClient, redis: Redis) -> None:
    facts = {"endpoint": "/courses/42?user=ada", "method": "GET", "status_code": 200, "duration_ms": 1.5}
    sent = {"event_type": "api_request", "properties": facts}
    single = (await client.post(TRACK, json=sent)).json()
    several = (await client.post(BATCH, json=[GOOD, sent])).json()["results"]
    for told in (single, several[1]):
        [edit] = told["edits"]
        assert (edit["pointer"], edit["code"]) == ("/properties/endpoint", "endpoint_template")
    assert "edits" not in several[0]
    endpoints = {json.loads(one.properties).get("endpoint") for one in await stored(redis)}
    assert endpoints == {None, "/courses/{id}"}


async def test_the_day_is_the_learners_and_the_time_is_utc(client: httpx.AsyncClient, redis: Redis) -> None:
    moment = (now() - timedelta(days=2)).replace(hour=23, minute=30, second=0, microsecond=123456)
    local = moment.astimezone(UTC).isoformat().replace("+00:00", "-05:00")
    await client.post(TRACK, json=GOOD | {"timestamp": local})
    [found] = await stored(redis)
    assert found.activity_date == moment.date()
    assert found.occurred_at == moment + timedelta(hours=5)


async def test_a_key_the_sender_chose_is_kept_or_mapped(client: httpx.AsyncClient, redis: Redis) -> None:
    moment = now() - timedelta(days=3)
    own = uuid7(moment, 7)
    for event_id in (str(own), "order-1", "order-1"):
        assert (await client.post(TRACK, json=GOOD | {"event_id": event_id})).status_code == 202
    first, second, third = await stored(redis)
    assert first.event_id == own
    assert abs(first.occurred_at - moment) < timedelta(milliseconds=1)
    assert second.event_id == third.event_id == canonical_event_id("order-1", "tests")


@pytest.mark.parametrize("body", [[GOOD, GOOD], {"events": [GOOD, GOOD]}])
@pytest.mark.parametrize("zipped", [True, False])
async def test_a_good_batch_in_every_form(client: httpx.AsyncClient, redis: Redis, body: Any, zipped: bool) -> None:
    content = json.dumps(body).encode()
    headers = {"content-type": "application/json; charset=utf-8"} | ({"content-encoding": "gzip"} if zipped else {})
    # Two gzip members are one body.
    packed = gzip.compress(content[:20]) + gzip.compress(content[20:]) if zipped else content
    reply = await client.post(BATCH, content=packed, headers=headers)
    assert reply.status_code == 202
    assert {key: reply.json()[key] for key in ("received", "accepted", "rejected")} == {
        "received": 2,
        "accepted": 2,
        "rejected": 0,
    }
    assert [one["event_id"] for one in reply.json()["results"]] == [str(e.event_id) for e in await stored(redis)]


XP = '{"event_type":"xp_earned","user_id":"u","properties":{"xp_amount":%s}}'
SEARCH = '{"event_type":"search_query","user_id":"u","properties":{"query_length":1,"results_count":1},"session_id":%s}'
BAD = {
    "unknown type": ('{"event_type":"party","user_id":"u"}', "unknown_event_type", "/event_type"),
    "no type": ('{"user_id":"u"}', "missing_property", "/event_type"),
    "type is no text": ('{"event_type":[],"user_id":"u"}', "unknown_event_type", "/event_type"),
    "no object": ("17", "not_an_object", ""),
    "null": ("null", "not_an_object", ""),
    "unknown property": (XP % '5,"email":"a@b.c"', "unknown_property", "/properties/email"),
    "unknown key": ('{"event_type":"session_start","user_id":"u","ip":"1.2.3.4"}', "unknown_property", "/ip"),
    "untellable key": ('{"event_type":"session_start","user_id":"u","a b@c":1}', "unknown_property", "/?"),
    "missing property": (XP.replace('"xp_amount":%s', ""), "missing_property", "/properties/xp_amount"),
    "nobody": ('{"event_type":"session_start","user_id":"undefined"}', "placeholder_id", "/user_id"),
    "true for a user": ('{"event_type":"session_start","user_id":true}', "invalid_type", "/user_id"),
    "a fraction for a user": ('{"event_type":"session_start","user_id":1.5}', "invalid_type", "/user_id"),
    "an event that has the id of none": (SEARCH % 'null,"event_id":"[object Object]"', "placeholder_id", "/event_id"),
    "the user's own id": (
        (XP % '5,"source":"learner-7"').replace('"u"', '"learner-7"'),
        "personal_data",
        "/properties/source",
    ),
    "missing user": ('{"event_type":"session_start"}', "missing_property", "/user_id"),
    "text for a number": (XP % '"5"', "invalid_type", "/properties/xp_amount"),
    "fraction": (XP % "5.5", "invalid_type", "/properties/xp_amount"),
    "true for a number": (XP % "true", "invalid_type", "/properties/xp_amount"),
    "negative": (XP % "-1", "invalid_value", "/properties/xp_amount"),
    "NaN": (XP % "NaN", "invalid_number", "/properties/xp_amount"),
    "infinity": (XP % "1e999", "invalid_number", "/properties/xp_amount"),
    "5,000 digits": (XP % ("9" * 5_000), "invalid_number", "/properties/xp_amount"),
    "beyond 64 bits": (XP % ("9" * 22), "invalid_value", "/properties/xp_amount"),
    "NUL": (XP % '5,"source":"a\\u0000b"', "invalid_text", "/properties/source"),
    "lone surrogate": (XP % '5,"source":"a\\ud800b"', "invalid_text", "/properties/source"),
    "control character": (XP % '5,"source":"a\\nb"', "invalid_text", "/properties/source"),
    "nested": (XP % ("[" * 20 + "]" * 20), "nesting_too_deep", None),
    "too large": (XP % ('5,"source":"' + "x" * 40_000 + '"'), "event_too_large", ""),
    "invisible character": (XP % '5,"source":"a\\u200bb"', "invalid_text", "/properties/source"),
    "an e-mail address": (XP % '5,"source":"ada@example.com"', "personal_data", "/properties/source"),
    "a phone number for an id": (SEARCH % 'null,"event_id":"+1 415 555 2671"', "personal_data", "/event_id"),
    "session is a list": (SEARCH % '["17"]', "invalid_type", "/session_id"),
    "session is nobody's": (SEARCH % '"null"', "placeholder_id", "/session_id"),
    "session is too long": (SEARCH % f'"{"x" * 129}"', "invalid_value", "/session_id"),
    "an offset of no place": (
        SEARCH % 'null,"timestamp":"2026-01-01T00:00:00+23:59"',
        "invalid_timestamp",
        "/timestamp",
    ),
    "no offset": (SEARCH % 'null,"timestamp":"2026-01-01T00:00:00"', "timestamp_without_offset", "/timestamp"),
    "no timestamp": (SEARCH % 'null,"timestamp":"yesterday"', "invalid_timestamp", "/timestamp"),
    "seconds for a timestamp": (SEARCH % 'null,"timestamp":"1790000000"', "invalid_timestamp", "/timestamp"),
    "bytes that are no text": (XP % '5,"source":"\udcff"', "invalid_text", "/properties/source"),
    "a nesting bomb": (XP % ("[" * 100_000 + "]" * 100_000), "nesting_too_deep", None),
    "number for a timestamp": (SEARCH % 'null,"timestamp":1700000000', "invalid_type", "/timestamp"),
    "too old": (SEARCH % 'null,"timestamp":"2001-01-01T00:00:00Z"', "timestamp_too_old", "/timestamp"),
    "year one": (SEARCH % 'null,"timestamp":"0001-01-01T00:00:00+14:00"', "timestamp_too_old", "/timestamp"),
    "in the future": (SEARCH % 'null,"timestamp":"9999-12-31T23:59:59-12:00"', "timestamp_in_future", "/timestamp"),
    "id of another time": (
        SEARCH % 'null,"event_id":"00000000-0000-7000-8000-000000000000"',
        "event_id_time_out_of_range",
        "/event_id",
    ),
    "id in the reserved range": (
        SEARCH % 'null,"event_id":"ffffffff-ffff-7fff-bfff-ffffffffffff"',
        "event_id_time_out_of_range",
        "/event_id",
    ),
    "schema of tomorrow": (SEARCH % 'null,"schema_version":2', "invalid_value", "/schema_version"),
}


@pytest.mark.parametrize(("bad", "code", "pointer"), BAD.values(), ids=BAD)
async def test_a_bad_event_is_rejected_with_a_reason_and_the_others_are_kept(
    client: httpx.AsyncClient, redis: Redis, bad: str, code: str, pointer: str | None
) -> None:
    good = json.dumps(GOOD)
    reply = await client.post(
        BATCH,
        content=f"[{good},{bad},{good}]".encode("utf-8", "surrogateescape"),
        headers={"content-type": "application/json"},
    )
    assert reply.status_code == 207
    first, second, third = reply.json()["results"]
    assert (first["status"], second["status"], third["status"]) == ("accepted", "rejected", "accepted")
    assert second["code"] == code
    assert pointer is None or second["pointer"] == pointer
    assert len(second["detail"]) > 10
    assert len(await stored(redis)) == 2

    single = await client.post(
        TRACK, content=bad.encode("utf-8", "surrogateescape"), headers={"content-type": "application/json"}
    )
    assert single.headers["content-type"] == "application/problem+json"
    if code == "event_too_large" or len(bad) > 32_768:
        assert single.status_code == 413
    else:
        assert single.status_code == 422
        assert single.json()["errors"] == [{key: second[key] for key in ("code", "pointer", "detail")}]
    assert len(await stored(redis)) == 2


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"", {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"[]", {}, 400),
        (b'{"events":[1],"events":[2]}', {}, 400),
        (gzip.compress(b"", mtime=0) * 101, {"content-encoding": "gzip"}, 400),
        (b"{}", {}, 400),
        (b'"events"', {}, 400),
        (b'{"events": [], "sent_at": 1}', {}, 400),
        (b'{"events": {}}', {}, 400),
        (b"[1]" + b" " * 1_048_576, {}, 413),
        (b"[" + b"1," * 2_500 + b"1]", {}, 413),
        (gzip.compress(b" " * 1_048_577, mtime=0), {"content-encoding": "gzip"}, 413),
        (gzip.compress(b"0" * 100_000_000, mtime=0), {"content-encoding": "gzip"}, 413),
        (gzip.compress(b"[1]", mtime=0)[:-9], {"content-encoding": "gzip"}, 400),
        (b"[1]", {"content-encoding": "gzip"}, 400),
        (b"[1]", {"content-encoding": "br"}, 415),
        (b"[1]", {"content-type": "text/plain"}, 415),
        (b"[1]", {"content-type": "application/json; charset=latin-1"}, 415),
        (b"[1]", {"authorization": "Bearer wrong"}, 401),
        (b"[1]", {"authorization": "Basic d3JvbmcK"}, 401),
        (b"[1]", {"authorization": f"Bearer {ADMIN_KEY}"}, 403),
    ],
)
async def test_a_refused_request_gets_the_reason(
    client: httpx.AsyncClient, redis: Redis, content: bytes, headers: dict[str, str], status: int
) -> None:
    reply = await client.post(BATCH, content=content, headers={"content-type": "application/json"} | headers)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == status
    assert problem["code"].replace("_", "").isalpha()
    assert len(problem["detail"]) > 10
    assert problem["instance"] == reply.headers["x-request-id"]
    assert await redis.xlen(stream_key(0)) == 0


async def test_a_stranger_is_refused_before_the_body_is_read(settings: Settings, redis: Redis) -> None:
    app = create_app(settings, redis, asyncio.Event())
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "path": BATCH, "method": "POST", "headers": []}, receive, send)
    assert sent[0]["status"] == 401


async def test_the_other_header_opens_too(client: httpx.AsyncClient) -> None:
    del client.headers["authorization"]
    assert (await client.post(TRACK, json=GOOD)).status_code == 401
    assert (await client.post(TRACK, json=GOOD, headers={"x-api-key": WRITE_KEY})).status_code == 202


async def test_requests_that_wait_together_share_an_append(client: httpx.AsyncClient, redis: Redis) -> None:
    await client.post(TRACK, json=GOOD)
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    replies = await asyncio.gather(*(client.post(TRACK, json=GOOD) for _ in range(100)))
    assert {reply.status_code for reply in replies} == {202}
    assert await redis.xlen(stream_key(0)) == 101
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] - before < 50


async def test_a_full_redis_is_a_503_that_says_when_to_come_back(client: httpx.AsyncClient, redis: Redis) -> None:
    await redis.config_set("maxmemory", 1)
    try:
        refused = await client.post(BATCH, json=[GOOD | {"event_id": "order-1"}, GOOD])
    finally:
        await redis.config_set("maxmemory", 0)
    assert refused.status_code == 503
    assert 1 <= int(refused.headers["retry-after"]) <= 5
    assert refused.json()["code"] == "out_of_memory"
    again = refused.json()["event_ids"]
    assert again[0] == str(canonical_event_id("order-1", "tests"))
    assert await redis.xlen(stream_key(0)) == 0
    reply = await client.post(BATCH, json=[GOOD | {"event_id": key} for key in again])
    assert [one["event_id"] for one in reply.json()["results"]] == again


async def test_a_redis_that_is_away_is_a_503(settings: Settings) -> None:
    redis = connect(settings.model_copy(update={"redis_url": None, "redis_port": 1}))
    transport = httpx.ASGITransport(create_app(settings, redis, asyncio.Event()))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=AUTHORIZED) as client:
        assert (await client.post(TRACK, json=GOOD)).status_code == 503
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
    await redis.aclose()


async def test_what_finds_a_full_queue_is_not_read(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AppendQueue, "is_full", True)
    transport = httpx.ASGITransport(create_app(settings, redis, asyncio.Event()))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=AUTHORIZED) as client:
        refused = await client.post(BATCH, content=b"no JSON", headers={"content-type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (503, "queue_full")
    assert int(refused.headers["retry-after"]) in range(1, 6)


async def test_every_answer_has_a_request_id_and_careful_headers(client: httpx.AsyncClient) -> None:
    for path in ("/livez", "/docs", "/openapi.json", "/nowhere"):
        headers = (await client.get(path, headers={"x-request-id": "4bf92f3577b34da6"})).headers
        assert headers["x-request-id"] == "4bf92f3577b34da6"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
    assert (await client.get("/livez", headers={"x-request-id": "a b"})).headers["x-request-id"] != "a b"
    own = [(await client.post(TRACK, json=GOOD)).headers["x-request-id"] for _ in range(2)]
    assert all(re.fullmatch("[0-9a-f]{16}", request_id) for request_id in own)
    assert own[0] != own[1]


async def test_health_and_metrics_are_served(client: httpx.AsyncClient) -> None:
    await client.post(TRACK, json=GOOD)
    assert (await client.get("/livez")).json()["ok"]
    assert (await client.get("/readyz")).json()["ok"]
    text = (await client.get("/metrics")).text
    assert 'analytics_ingest_events_total{outcome="accepted"}' in text
    assert f'analytics_ingest_requests_total{{code="202",route="{TRACK}"}}' in text


async def test_the_documentation_needs_no_other_host(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("<!doctype", "")
    for path in ("/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"):
        assert path in page.text
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", TRACK, 405), ("POST", "/nowhere", 404), ("BREW", "/x", 404)],
)
async def test_unknown_paths_and_methods_are_problem_documents(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    reply = await client.request(method, path)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert "/nowhere" not in (await client.get("/metrics")).text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(sorted(GOOD)), inner, max_size=4)
    ),
    max_leaves=20,
)
NEARLY = st.fixed_dictionaries(
    {"event_type": st.just("xp_earned") | JSON, "user_id": st.just("u") | JSON, "properties": JSON}
)


@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(body=st.binary() | JSON.map(json.dumps).map(str.encode) | st.lists(NEARLY).map(json.dumps).map(str.encode))
async def test_no_body_is_a_500_and_every_event_gets_a_verdict(client: httpx.AsyncClient, body: bytes) -> None:
    for path in (TRACK, BATCH):
        reply = await client.post(path, content=body, headers={"content-type": "application/json"})
        assert reply.status_code in (202, 207, 400, 413, 422)
        if reply.status_code in (202, 207) and path == BATCH:
            assert [one["index"] for one in reply.json()["results"]] == list(range(reply.json()["received"]))
