"""Segment's API over HTTP on a real stream: accepted calls are stored, others are reported."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from ingest.privacy.detectors import find_personal
from ingest.routes import BATCH as NATIVE_BATCH
from ingest.routes import MAX_DROPPED
from ingest.segment.routes import ALIASES, BATCH, CALLS
from ingest.server import create_app, open_unmapped
from runtime.clock import utc_now
from runtime.errors import ConfigurationError
from runtime.settings import Settings
from schemas.entry import decode
from schemas.identifiers import canonical_event_id
from stream.diagnosis.unmapped import check_unmapped
from stream.keys import UNMAPPED
from stream.registry.unmapped import KEPT, MAX_NAMES, OTHER, add_unmapped, read_unmapped
from stream.server.connection import connect
from telemetry import metrics
from telemetry.labels import SegmentOutcome
from tests.support.access import READ_KEY, WRITE_KEY
from tests.support.entries import stream_entries
from tests.support.proxy import Fault, Proxy
from tests.support.waiting import eventually

CANARY = "canary-ada@example.com"
MAPPING = {
    "Lesson Viewed": {"event_type": "material_view", "properties": {"lesson_id": "material_id"}, "ignore": ["title"]}
}


def track(**change: Any) -> dict[str, Any]:
    """A call as official clients send it, with data that must not be stored."""
    message = {
        "type": "track",
        "event": "XP Earned",
        "messageId": "7b3a1e0c-6a3e-4f43-9a53-2e7f6f1f5d10",
        "userId": "learner-7",
        "anonymousId": None,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "properties": {"xp_amount": 5},
        "context": {"ip": CANARY, "traits": {"email": CANARY}, "library": {"name": "analytics-python"}},
        "traits": {"email": CANARY},
        "integrations": {CANARY: True},
        "_metadata": {"nodeVersion": CANARY},
        "sentAt": CANARY,
        "channel": CANARY,
    }
    return message | change


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    place = tmp_path / "mapping.json"
    place.write_text(json.dumps(MAPPING))
    return settings.model_copy(update={"segment_mapping": str(place)})


@asynccontextmanager
async def client_on(settings: Settings, redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    stop, unmapped = asyncio.Event(), open_unmapped(redis)
    app = create_app(settings, redis, stop, unmapped=unmapped)
    writing = asyncio.create_task(unmapped.run(stop))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", auth=(WRITE_KEY, "")) as client:
        yield client
    stop.set()
    await writing


@pytest.fixture
async def client(settings: Settings, redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    async with client_on(settings, redis) as client:
        yield client


def outcomes() -> dict[str, float]:
    return {name: metrics.SEGMENT_EVENTS.labels(name)._value.get() for name in SegmentOutcome}


def grown(before: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before[name] for name, value in outcomes().items() if value != before[name]}


async def test_a_track_is_in_the_stream_as_a_native_event_would_be(
    client: httpx.AsyncClient, redis: Redis, settings: Settings
) -> None:
    session = "0190163d-8694-739b-aea5-966c26f8ad91"
    sent = track(event="Lesson Viewed", properties={"lesson_id": "limits", "title": "Limits", "session_id": session})
    reply = await client.post(CALLS["track"], json=sent)
    assert reply.status_code == 200
    [(_, fields)] = await stream_entries(redis)
    found = decode(fields)
    assert reply.json() == {
        "success": True,
        "received": 1,
        "accepted": 1,
        "rejected": 0,
        "ignored": 0,
        "results": [
            {"index": 0, "event_id": str(found.event_id), "status": "accepted", "message_id": sent["messageId"]}
        ],
    }
    assert found.event_id == canonical_event_id(sent["messageId"], "tests")
    assert found.user_hash == settings.pseudonymizer().pseudonym("learner-7")
    assert str(found.session_id) == session
    assert found.occurred_at == datetime.fromisoformat(sent["timestamp"])
    assert (found.event_type, found.source, json.loads(found.properties)) == (
        "material_view",
        "tests",
        {"material_id": "limits"},
    )
    kept = b"".join(value for value in fields.values())
    assert CANARY.encode() not in kept
    assert b"learner-7" not in kept


async def test_each_call_of_a_batch_has_its_verdict_and_its_metric(client: httpx.AsyncClient, redis: Redis) -> None:
    before = outcomes()
    batch = [
        track(messageId="a"),
        track(messageId="b", event="Quiz Started"),
        track(messageId="c", type="identify"),
        track(messageId="d", properties={"xp_amount": 5, "title": "Limits"}),
        track(messageId="e", timestamp=(utc_now() - timedelta(days=400)).isoformat()),
        track(messageId=CANARY),
        track(messageId="g"),
        "track",
    ]
    reply = await client.post(BATCH, json={"batch": batch, "sentAt": CANARY, "writeKey": CANARY})
    assert reply.status_code == 200
    answer = reply.json()
    counts = {name: answer[name] for name in ("success", "received", "accepted", "rejected", "ignored")}
    assert counts == {"success": True, "received": 8, "accepted": 2, "rejected": 5, "ignored": 1}
    told = [(one.get("message_id"), one["status"], one.get("code"), one.get("pointer")) for one in answer["results"]]
    assert told == [
        ("a", "accepted", None, None),
        ("b", "rejected", "unknown_event", "/event"),
        ("c", "ignored", "unsupported_call", ""),
        ("d", "rejected", "unknown_property", "/properties/title"),
        ("e", "rejected", "timestamp_too_old", "/timestamp"),
        (None, "rejected", "personal_data", "/messageId"),
        ("g", "accepted", None, None),
        (None, "rejected", "not_an_object", ""),
    ]
    assert [one["index"] for one in answer["results"]] == list(range(8))
    assert CANARY not in reply.text
    assert len(await stream_entries(redis)) == 2
    assert grown(before) == {"accepted": 2, "rejected": 4, "unknown_event": 1, "ignored": 1}


async def test_an_ignored_call_is_no_rejected_event(client: httpx.AsyncClient) -> None:
    rejected = metrics.INGEST_EVENTS.labels("rejected")
    before = rejected._value.get()
    await client.post(BATCH, json={"batch": [track(type="page"), track(type="group")]})
    assert rejected._value.get() == before
    await client.post(BATCH, json={"batch": [track(event="Quiz Started")]})
    assert rejected._value.get() == before + 1


@pytest.mark.parametrize("call", CALLS)
async def test_every_call_has_a_path_that_says_which_it_is(client: httpx.AsyncClient, call: str) -> None:
    reply = await client.post(CALLS[call], json=track(type="screen"))
    [result] = reply.json()["results"]
    assert (reply.status_code, result["status"]) == (200, "accepted" if call == "track" else "ignored")


@pytest.mark.parametrize("alias", ALIASES)
async def test_a_path_that_clients_use_is_the_one_it_stands_for(client: httpx.AsyncClient, alias: str) -> None:
    meant = ALIASES[alias]
    answers = metrics.INGEST_REQUESTS.labels(meant, "200")
    before = answers._value.get()
    reply = await client.post(alias, json={"batch": [track()]} if meant == BATCH else track())
    [result] = reply.json()["results"]
    is_stored = meant in (BATCH, CALLS["track"])
    assert (reply.status_code, result["status"]) == (200, "accepted" if is_stored else "ignored")
    assert answers._value.get() == before + 1


async def test_a_path_like_those_of_clients_is_still_not_found(client: httpx.AsyncClient) -> None:
    for path in ("/v1", "/v1/", "/v1/x", "/v1/batch//", "/v1/tracks"):
        assert (await client.post(path, json=track())).status_code == 404


async def test_a_clock_that_is_ahead_is_corrected_by_the_stamp_of_the_batch(
    client: httpx.AsyncClient, redis: Redis
) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    message = track(timestamp=ahead.isoformat())
    del message["sentAt"]
    sent_at = (ahead + timedelta(seconds=2)).isoformat()
    started = utc_now()
    [result] = (await client.post(BATCH, json={"batch": [message], "sentAt": sent_at})).json()["results"]
    assert (result["status"], [edit["code"] for edit in result["edits"]]) == ("accepted", ["clock_ahead"])
    [(_, fields)] = await stream_entries(redis)
    occurred_at = decode(fields).occurred_at
    assert started - timedelta(seconds=2) <= occurred_at <= utc_now() - timedelta(seconds=2)
    [result] = (await client.post(BATCH, json={"batch": [message]})).json()["results"]
    assert result["code"] == "timestamp_in_future"


async def test_a_message_that_comes_again_has_the_same_key(client: httpx.AsyncClient, redis: Redis) -> None:
    for _ in range(2):
        await client.post(BATCH, json={"batch": [track()]})
    [first, second] = [decode(fields).event_id for _, fields in await stream_entries(redis)]
    assert first == second


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8"])
async def test_a_zipped_batch_is_read(client: httpx.AsyncClient, media_type: str) -> None:
    content = gzip.compress(json.dumps({"batch": [track()]}).encode())
    headers = {"content-type": media_type, "content-encoding": "gzip"}
    assert (await client.post(BATCH, content=content, headers=headers)).json()["accepted"] == 1


BAD_BODIES: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (b"{", 400, "unreadable_body"),
    "no batch": (b'{"events": []}', 400, "invalid_envelope"),
    "an array": (b"[]", 400, "invalid_envelope"),
    "batch is no array": (b'{"batch": {}}', 400, "invalid_envelope"),
    "two batches": (b'{"batch": [{}], "batch": [{}]}', 400, "invalid_envelope"),
    "nothing": (b'{"batch": []}', 400, "empty_batch"),
    "too many": (b'{"batch": [' + b"{}," * 2_500 + b"{}]}", 413, "too_many_events"),
    "too large": (b'{"batch": ["' + b"x" * 1024**2 + b'"]}', 413, "body_too_large"),
}


@pytest.mark.parametrize(("body", "status", "code"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_a_body_that_is_no_batch_is_refused(
    client: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    reply = await client.post(BATCH, content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("auth", "headers", "status"),
    [
        ((WRITE_KEY, ""), {}, 200),
        (None, {"Authorization": f"Bearer {WRITE_KEY}"}, 200),
        (None, {"X-API-Key": WRITE_KEY}, 200),
        (None, {}, 401),
        ((WRITE_KEY, "password"), {}, 401),
        (("", WRITE_KEY), {}, 401),
        (("another", ""), {}, 401),
        ((READ_KEY, ""), {}, 403),
    ],
)
async def test_the_write_key_opens(
    client: httpx.AsyncClient, auth: tuple[str, str] | None, headers: dict[str, str], status: int
) -> None:
    client.auth = httpx.BasicAuth(*auth) if auth else httpx.Auth()
    assert (await client.post(BATCH, json={"batch": [track()]}, headers=headers)).status_code == status


async def test_a_write_key_opens_nothing_of_ours(client: httpx.AsyncClient) -> None:
    assert (await client.post(NATIVE_BATCH, json=[])).status_code == 401


async def test_without_redis_a_client_gets_a_retry_after(settings: Settings, redis: Redis) -> None:
    before = outcomes()
    async with Proxy(settings.redis_dsn).running() as proxy:
        behind = connect(settings.model_copy(update={"redis_url": SecretStr(proxy.url)}))
        async with client_on(settings, behind) as client:
            proxy.break_down(Fault.CUT)
            reply = await client.post(BATCH, json={"batch": [track()]})
            assert reply.status_code == 503
            assert int(reply.headers["retry-after"]) >= 1
            # nothing to append, and the names cannot be written: the call is still accepted
            assert (await client.post(BATCH, json={"batch": [track(event="Quiz Started")]})).status_code == 200
            proxy.heal()
            assert (await client.post(BATCH, json={"batch": [track()]})).status_code == 200
        await behind.aclose()
    assert len(await stream_entries(redis)) == 1
    assert grown(before) == {"accepted": 1, "unknown_event": 1}
    assert [one.name for one in await read_unmapped(redis, utc_now())] == ["Quiz Started"]


async def test_a_bad_mapping_file_stops_the_start(settings: Settings, redis: Redis, tmp_path: Path) -> None:
    (tmp_path / "mapping.json").write_text('{"Lesson Viewed": {}}')
    with pytest.raises(ConfigurationError, match=r"ANALYTICS_SEGMENT_MAPPING.*Lesson Viewed: event_type"):
        create_app(settings, redis, asyncio.Event())


async def test_doctor_lists_unmapped_names(client: httpx.AsyncClient, redis: Redis) -> None:
    assert check_unmapped(await read_unmapped(redis, utc_now())).status == "ok"
    batch = [track(event="Quiz Started"), track(event="Quiz Started"), track(event=CANARY), track(type="identify")]
    await client.post(BATCH, json={"batch": batch})

    async def is_written() -> bool:
        return len(await read_unmapped(redis, utc_now())) == 3

    await eventually(is_written)
    finding = check_unmapped(await read_unmapped(redis, utc_now()))
    assert finding.status == "warn"
    assert "Quiz Started (2x, last " in finding.detail
    assert "identify() (1x, last" in finding.detail
    assert f"{OTHER} (1x, last" in finding.detail
    assert "ANALYTICS_SEGMENT_MAPPING" in finding.fix
    assert find_personal(finding.detail) is None


async def test_names_of_all_processes_are_few_and_go_when_there_is_no_news(redis: Redis) -> None:
    now = utc_now()
    await add_unmapped(redis, {"Old": 3}, now - KEPT - timedelta(seconds=1))
    assert await read_unmapped(redis, now) == []
    for start in (0, 60):
        await add_unmapped(redis, {f"Event {start + number}": 1 for number in range(60)}, now)
    await add_unmapped(redis, {"Event 0": 5, OTHER: 2}, now)
    found = {one.name: one.times for one in await read_unmapped(redis, now)}
    assert len(found) == await redis.hlen(UNMAPPED) == MAX_NAMES + 1
    assert "Old" not in found
    assert (found["Event 0"], found["Event 99"], found[OTHER]) == (6, 1, 22)
    assert 0 < await redis.ttl(UNMAPPED) <= KEPT.total_seconds()


@pytest.mark.parametrize(
    ("header", "counted"), [("7", 7), ("9" * 18, MAX_DROPPED), ("9" * 5_000, 0), ("-1", 0), ("1.5", 0), ("", 0)]
)
async def test_what_a_sender_dropped_is_counted_once_its_batch_is_taken(
    client: httpx.AsyncClient, header: str, counted: int
) -> None:
    dropped = metrics.SDK_DROPPED.labels("tests")
    before = dropped._value.get()
    headers = {"X-API-Key": WRITE_KEY, "X-Analytics-Dropped": header}
    event = {"event_type": "session_start", "user_id": "u"}
    client.auth = httpx.Auth()
    assert (await client.post(NATIVE_BATCH, json={"events": []}, headers=headers)).status_code == 400
    assert dropped._value.get() == before
    assert (await client.post(NATIVE_BATCH, json={"events": [event]}, headers=headers)).status_code == 202
    assert dropped._value.get() == before + counted
