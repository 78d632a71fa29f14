"""Canary values in every place that a sender can fill: none is found in any store, log, metric or answer."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from dashboard.questions.table import QUESTIONS
from ingest.privacy.firewall import free_texts
from ingest.routes import BATCH, TRACK
from ingest.segment import routes as segment
from runtime.embedded.postgres import Postgres
from runtime.settings import Settings
from schemas.catalogue import CATALOGUE
from schemas.events import EVENT
from stream.server.connection import connect
from tests.support.reading import bearer
from tests.support.system import System, analytics, running_system
from tests.support.waiting import eventually

_numbers = count()


def canary() -> str:
    """Return personal data that was used in no other place."""
    return f"canary{next(_numbers)}@example.com"


USER = "canary-user@example.com"
OWN_IDS: tuple[str | int, ...] = ("canaryuser", "canaryuser-77310", 773_105_012_349_876)
"""Learner ids that do not look personal, and occur again in other texts of their events."""
CAST = {
    "xp_amount": 5,
    "new_level": 2,
    "streak_days": 3,
    "message_length": 10,
    "response_time_ms": 1.5,
    "rating": 5,
    "method": "GET",
    "status_code": 200,
    "duration_ms": 1.5,
    "query_length": 3,
    "results_count": 1,
}


def good(event_type: str) -> dict[str, Any]:
    """Return a valid event of the type, of a learner whose id is a canary."""
    model = CATALOGUE[event_type].properties
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    properties = {name: CAST.get(name, "opaque-1") for name in required}
    event = {"event_type": event_type, "user_id": USER, "properties": properties}
    EVENT.validate_python(event, strict=False)
    return event


def stuffed() -> Iterator[Any]:
    """Yield events with a canary in every wrong place: each field, each name, each form."""
    for event_type in CATALOGUE:
        event = good(event_type)
        for name in (*free_texts_of(event_type), "no_such_property"):
            yield event | {"properties": event["properties"] | {name: canary()}}
        for name in ("event_id", "session_id", "timestamp", "schema_version", "event_type", "no_such_field"):
            yield event | {name: canary()}
        yield event | {canary(): 1}
        yield event | {"properties": event["properties"] | {canary(): 1}}
        yield event | {"properties": canary()}
        for name in event["properties"]:
            yield event | {"properties": event["properties"] | {name: [canary(), {canary(): canary()}]}}
    yield from telling_of_themselves()
    yield canary()
    yield [canary()]


def telling_of_themselves() -> Iterator[Any]:
    """Yield events that contain their learner's id in another text or id."""
    for event_type in CATALOGUE:
        for own in OWN_IDS:
            event = good(event_type) | {"user_id": own}
            for name in free_texts_of(event_type):
                for text in (f"{own}", f"/users/{own}/notes", f"{own}".upper(), "/%63" + f"{own}"[1:]):
                    yield event | {"properties": event["properties"] | {name: text}}
            yield event | {"session_id": own, "event_id": f"{event_type}-{own}"}


def free_texts_of(event_type: str) -> tuple[str, ...]:
    return free_texts(CATALOGUE[event_type].properties)


def headers() -> dict[str, str]:
    names = ("User-Agent", "Referer", "Cookie", "X-Request-Id", "X-Forwarded-For", "From", "X-User", "Accept-Language")
    return {name: canary() for name in names} | {"X-Request-Id": "415-555-2671"}


async def provoke_ingest(system: System, client: httpx.AsyncClient) -> None:
    key = bearer(system.write_key)
    events = [good(event_type) for event_type in CATALOGUE]
    accepted = await client.post(system.ingest_url + BATCH, json=events, headers=key | headers())
    assert accepted.status_code == 202, accepted.text
    await client.post(system.ingest_url + BATCH, json=list(stuffed()), headers=key | headers())
    for event in stuffed():
        refused = await client.post(system.ingest_url + TRACK, json=event, headers=key)
        assert refused.status_code in (202, 400, 422), refused.text
    as_json = {"Content-Type": "application/json"}
    for body in (canary(), f'{{"{canary()}": ', f'["{canary()}"', "\ufeff" + canary(), f"[{canary()}]"):
        await client.post(system.ingest_url + BATCH, content=body.encode(), headers=key | as_json)
        zipped = gzip.compress(body.encode())[:-3]
        await client.post(
            system.ingest_url + BATCH, content=zipped, headers=key | as_json | {"Content-Encoding": "gzip"}
        )
    await client.post(system.ingest_url + BATCH, content=canary(), headers=key | {"Content-Type": canary()})
    await client.post(system.ingest_url + BATCH, content=b"[]", headers=key | as_json | {"Content-Encoding": canary()})
    for credentials in strangers():
        await client.post(system.ingest_url + BATCH, json=[canary()], headers=credentials)
    for method in ("GET", "POST", "PUT", "DELETE", "CANARY"):
        await client.request(method, f"{system.ingest_url}/api/{canary()}/{USER}?user={canary()}", headers=key)
        await client.request(method, f"{system.ingest_url}{TRACK}?user={canary()}", headers=headers())


async def provoke_segment(system: System, client: httpx.AsyncClient) -> None:
    key = (system.write_key, "")
    message = {"type": "track", "event": "XP Earned", "userId": USER, "properties": {"xp_amount": 5}}
    extra = {name: {canary(): canary()} for name in ("context", "traits", "integrations", "_metadata")}
    accepted = await client.post(system.ingest_url + segment.BATCH, json={"batch": [message | extra]}, auth=key)
    assert accepted.json()["accepted"] == 1, accepted.text
    fields = ("type", "event", "messageId", "userId", "anonymousId", "timestamp", "sentAt", "properties")
    batch: list[Any] = [message | {name: canary()} for name in fields]
    batch += [message | {"properties": {canary(): canary()}}, message | {canary(): canary()}, canary()]
    batch += [message | {"userId": own, "properties": {"xp_amount": 5, "source": f"of {own}"}} for own in OWN_IDS]
    for path in (segment.BATCH, *segment.CALLS.values()):
        body = {"batch": batch, "sentAt": canary(), canary(): canary()} if path == segment.BATCH else message | extra
        answered = await client.post(system.ingest_url + path, json=body, auth=key, headers=headers())
        assert answered.status_code == 200, answered.text
        await client.post(system.ingest_url + path, json=[canary()], auth=key)
        await client.post(system.ingest_url + path, json=body, auth=(canary(), ""))


def strangers() -> Iterator[dict[str, str]]:
    yield {"Authorization": f"Bearer {canary()}"}
    yield {"Authorization": "Basic " + base64.b64encode(canary().encode()).decode()}
    yield {"X-API-Key": canary()}
    yield {"Authorization": canary()}


async def provoke_dashboard(system: System, client: httpx.AsyncClient) -> None:
    key, admin = bearer(system.read_key), bearer(system.admin_key)
    paths = [one.path for one in QUESTIONS if one.tag not in ("live", "privacy")]
    assert len(paths) == 5
    for path in paths:
        url = system.dashboard_url + path
        for parameters in (
            {"user_id": USER},
            {"user_id": canary(), "tz": canary()},
            {"days": canary(), "hours": canary()},
            {name: canary() for name in ("type", "session_id", "since", "until", "cursor")},
            {canary(): canary()},
        ):
            await client.get(url, params=parameters, headers=key | headers())
        for credentials in strangers():
            await client.get(url, params={"user_id": canary()}, headers=credentials)
    for path in (f"/api/analytics/privacy/users/{USER}/export", f"/api/analytics/privacy/jobs/{canary()}"):
        await client.get(system.dashboard_url + path, headers=admin)
        await client.get(system.dashboard_url + path, headers=key)
    for method in ("GET", "POST", "PUT", "CANARY"):
        await client.request(method, f"{system.dashboard_url}/{canary()}?user={canary()}", headers=headers())


class Listener(httpx.AsyncBaseTransport):
    """Records every answer."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        content = await response.aread()
        self.heard.append(repr(response.headers.raw).encode() + content)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


TRACES = [
    b"canary",
    base64.b64encode(b"canary")[:7],
    b"415-555-2671",
    b"773105012349876",
    *(digest(USER.encode()).digest() for digest in (hashlib.sha256, hashlib.sha1, hashlib.md5)),
    *(digest(USER.encode()).hexdigest().encode() for digest in (hashlib.sha256, hashlib.sha1, hashlib.md5)),
]
"""A canary as text and in an Authorization header, and unkeyed hashes of the learner's id."""


def found_in(content: bytes) -> list[bytes]:
    small = content.lower()
    return [trace for trace in TRACES if trace.lower() in small]


@pytest.mark.timeout(180)
async def test_no_canary_is_found_anywhere(data_directory: Path) -> None:
    listener = Listener()
    async with running_system(data_directory, ANALYTICS_LOG_LEVEL="debug") as system:
        async with httpx.AsyncClient(transport=listener, timeout=30) as client:
            await provoke_ingest(system, client)
            await provoke_segment(system, client)
            await system.settled()
            await provoke_dashboard(system, client)
            for url in (system.ingest_url, system.dashboard_url):
                metrics = await client.get(f"{url}/metrics")
                assert b"analytics_" in metrics.content

        async def names_are_told() -> bool:
            return "identify() (" in await asyncio.to_thread(analytics, "doctor", "--data-dir", str(data_directory))

        await eventually(names_are_told)
        listener.heard.append(analytics("doctor", "--data-dir", str(data_directory)).encode())
        assert await stored_events(system) >= len(CATALOGUE)
        redis = connect(Settings.model_validate({"redis_url": system.redis_url}))
        await redis.save()
        await redis.aclose()
        postgres = Postgres(data_directory / "postgres").data_directory
        database = await asyncpg.connect(system.database_url)
        await database.execute("CHECKPOINT")
        await database.close()
        places = [file for root in (data_directory, postgres) for file in root.rglob("*") if file.is_file()]
        places = [file for file in places if not file.is_symlink()]
        assert {".log", ".aof", ".rdb"} <= {file.suffix for file in places}
        assert len(places) > 200
        leaks = {str(file): found for file in places if (found := found_in(file.read_bytes()))}
    assert leaks == {}
    assert [answer for answer in listener.heard if found_in(answer)] == []
    assert len(listener.heard) > 200


async def stored_events(system: System) -> int:
    database = await asyncpg.connect(system.database_url)
    try:
        number: int = await database.fetchval("SELECT count(*) FROM analytics_events")
    finally:
        await database.close()
    return number


def test_a_canary_would_be_found() -> None:
    """Otherwise the test above would prove nothing."""
    assert found_in(b"... Canary7@example.com ...")
    assert found_in(b"Authorization: Basic " + base64.b64encode(b"canary1@example.com"))
    assert found_in(hashlib.sha256(USER.encode()).digest())
    assert found_in(json.dumps({"a": "415-555-2671"}).encode())
