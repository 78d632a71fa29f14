"""A fault of ingest on one event affects only that event: its verdict is retry, and the others are stored."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Scope
from structlog.testing import capture_logs

from ingest.parsing import batch
from ingest.parsing.faults import find_unstorable
from ingest.privacy.firewall import Firewall
from ingest.routes import BATCH, TRACK
from ingest.segment.routes import BATCH as SEGMENT_BATCH
from ingest.segment.unmapped import UnmappedNames
from ingest.server import acceptance_policy, create_app
from runtime.settings import Settings
from schemas.entry import decode
from schemas.problems import PROBLEM_MEDIA_TYPE
from schemas.verdicts import BatchReply
from stream.server.connection import Redis
from telemetry import metrics
from tests.support.access import WRITE_KEY
from tests.support.entries import stream_entries
from web.routing import Router

POISON = "poison"
SECRET = "a value that no log may hold"


class FaultyFirewall(Firewall):
    def inspect(self, *arguments: Any, **options: Any) -> Any:
        if getattr(arguments[0], "material_id", None) == POISON:
            raise KeyError(SECRET)
        return super().inspect(*arguments, **options)


class FaultyNames(UnmappedNames):
    def count_event(self, name: str, *learner_ids: object) -> None:
        raise KeyError(SECRET)


def view(material_id: str) -> dict[str, Any]:
    return {"event_type": "material_view", "user_id": "u", "properties": {"material_id": material_id}}


def call(material_id: str, event: str = "Material View") -> dict[str, Any]:
    properties = {"material_id": material_id}
    return {"type": "track", "event": event, "userId": "u", "messageId": f"m-{material_id}", "properties": properties}


@pytest.fixture
async def client(settings: Settings, redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    actions = acceptance_policy(settings)
    policy = dataclasses.replace(actions, firewall=FaultyFirewall({}, settings.pseudonymizer()))

    async def unwritten(_counts: Any) -> None:
        raise AssertionError("nothing was noted")

    app = create_app(settings, redis, asyncio.Event(), policy=policy, unmapped=FaultyNames(unwritten))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {WRITE_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
        yield client


async def materials(redis: Redis) -> list[str]:
    return [json.loads(decode(fields).properties)["material_id"] for _, fields in await stream_entries(redis)]


def value(metric: Any) -> float:
    found: float = metric._value.get()
    return found


async def test_a_fault_of_one_event_costs_its_neighbours_nothing(client: httpx.AsyncClient, redis: Redis) -> None:
    before = value(metrics.INGEST_DEFECTS), value(metrics.INGEST_EVENTS.labels("retry"))
    rejected = value(metrics.INGEST_EVENTS.labels("rejected"))
    events = [view("a"), view(POISON), {"event_type": "nonsense"}, view("b")]
    with capture_logs() as logged:
        reply = await client.post(BATCH, json=events)
    assert reply.status_code == 207
    told = BatchReply.model_validate_json(reply.content)
    assert (told.received, told.accepted, told.rejected, told.retry) == (4, 2, 1, 1)
    assert [one.status for one in told.results] == ["accepted", "retry", "rejected", "accepted"]
    assert told.results[1].code == "defect"
    assert await materials(redis) == ["a", "b"]
    # logged once, with the type and the location of the error only
    [line] = logged
    assert (line["event"], type(line["exc_info"])) == ("defect_confined", KeyError)
    assert SECRET not in reply.text
    assert (value(metrics.INGEST_DEFECTS), value(metrics.INGEST_EVENTS.labels("retry"))) == (
        before[0] + 1,
        before[1] + 1,
    )
    assert value(metrics.INGEST_EVENTS.labels("rejected")) == rejected + 1


async def test_a_batch_without_faults_does_not_mention_them(client: httpx.AsyncClient) -> None:
    assert set((await client.post(BATCH, json=[view("a")])).json()) == {"received", "accepted", "rejected", "results"}


async def test_a_batch_with_only_faults_reports_them(client: httpx.AsyncClient, redis: Redis) -> None:
    reply = await client.post(BATCH, json=[view(POISON)] * 2)
    assert (reply.status_code, reply.json()["retry"]) == (207, 2)
    assert await materials(redis) == []


async def test_a_single_event_with_a_fault_is_a_500(client: httpx.AsyncClient, redis: Redis) -> None:
    reply = await client.post(TRACK, json=view(POISON))
    assert (reply.status_code, reply.json()["code"]) == (500, "defect")
    assert reply.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert await materials(redis) == []


async def test_the_good_calls_of_a_segment_batch_are_stored_before_the_500(
    client: httpx.AsyncClient, redis: Redis
) -> None:
    for _ in range(2):
        reply = await client.post(SEGMENT_BATCH, json={"batch": [call("a"), call(POISON), call("b")]})
        assert (reply.status_code, reply.json()["code"]) == (500, "defect")
    # repeated with the same ids, which count once
    found = [decode(fields).event_id for _, fields in await stream_entries(redis)]
    assert await materials(redis) == ["a", "b", "a", "b"]
    assert len(set(found)) == 2


async def test_a_fault_after_the_append_is_no_reason_to_repeat(client: httpx.AsyncClient, redis: Redis) -> None:
    reply = await client.post(SEGMENT_BATCH, json={"batch": [call("a"), call("b", event="Nobody Knows This")]})
    assert (reply.status_code, reply.json()["accepted"]) == (200, 1)
    assert await materials(redis) == ["a"]


async def test_a_fault_while_a_body_is_parsed_is_one_of_its_event(
    client: httpx.AsyncClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(raw: Any) -> Any:
        if raw["properties"]["material_id"] == "odd":
            raise KeyError(SECRET)
        return find_unstorable(raw)

    class FaultyAdapter:
        def validate_json(self, _body: bytes) -> Any:
            raise KeyError(SECRET)

    monkeypatch.setattr(batch, "_ARRAY", FaultyAdapter())
    monkeypatch.setattr(batch, "find_unstorable", faulty)
    reply = await client.post(BATCH, json=[view("a"), view("odd"), view("b")])
    assert [one["status"] for one in reply.json()["results"]] == ["accepted", "retry", "accepted"]
    assert await materials(redis) == ["a", "b"]


@pytest.mark.parametrize("path", [BATCH, "/livez", "/nowhere"])
async def test_a_fault_before_any_route_is_a_problem_like_any_other(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def faulty(_router: Router, _scope: Scope) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(Router, "_route", faulty)
    reply = await client.post(path, json=[view("a")], headers={"x-request-id": "236588185607304759"})
    assert (reply.status_code, reply.json()["code"]) == (500, "defect")
    assert reply.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert reply.json()["instance"] == reply.headers["x-request-id"]
    assert "content-security-policy" in reply.headers


async def test_a_fault_of_a_status_path_is_a_problem_like_any_other(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_arguments: object, **_options: object) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr("web.static_file.StaticFile", faulty)
    transport = httpx.ASGITransport(create_app(settings, redis, asyncio.Event()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        reply = await client.get("/openapi.json")
    assert (reply.status_code, reply.json()["code"]) == (500, "defect")
    assert reply.json()["instance"] == reply.headers["x-request-id"]
