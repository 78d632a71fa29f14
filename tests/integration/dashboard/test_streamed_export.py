"""An export is read page by page, no faster than the client receives it. A partial document is never valid."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import httpx
import pytest

from dashboard.app import create_app
from dashboard.services import Services
from runtime.errors import StorageUnavailable
from schemas.accepted import AcceptedEvent
from storage.privacy import learner_data
from tests.support.access import ADMIN_KEY
from tests.support.archive import archive
from tests.support.events import event
from tests.support.reading import bearer
from tests.support.serving import served
from tests.support.waiting import eventually

EXPORT: Final = "/api/analytics/privacy/users/anna/export"
ADMIN: Final = bearer(ADMIN_KEY)
EVENTS: Final = 500
PAGE: Final = 10

Fetch = Callable[..., Any]


@pytest.fixture
async def events(database: asyncpg.Connection, anna: bytes) -> list[AcceptedEvent]:
    """Many events of Anna, several with the same time, and one of another learner."""
    moment = datetime.now(UTC).replace(microsecond=0)
    of_anna = [
        event(
            "xp_earned",
            {"xp_amount": 1},
            number=number,
            occurred_at=moment - timedelta(seconds=number // 7),
            user_hash=anna,
        )
        for number in range(EVENTS)
    ]
    await archive(database, [*of_anna, event("xp_earned", {"xp_amount": 1}, number=EVENTS)])
    return of_anna


class Pages:
    """The pages that were fetched from the database."""

    def __init__(self, fetch: Fetch, fail_at: int | None = None) -> None:
        self.count = 0
        self._fetch = fetch
        self._fail_at = fail_at

    async def __call__(self, *arguments: Any) -> Any:
        self.count += 1
        if self.count == self._fail_at:
            raise StorageUnavailable("lost", "the server went away")
        return await self._fetch(*arguments)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Pages:
    pages = Pages(learner_data._fetch)
    monkeypatch.setattr(learner_data, "PAGE", PAGE)
    monkeypatch.setattr(learner_data, "_fetch", pages)
    return pages


async def test_every_row_is_exported_once_however_the_pages_fall(
    client: httpx.AsyncClient, events: list[AcceptedEvent], pages: Pages
) -> None:
    reply = await client.get(EXPORT, headers=ADMIN)
    rows = reply.json()["tables"]["analytics_events"]
    assert sorted(row["event_id"] for row in rows) == sorted(str(one.event_id) for one in events)
    assert pages.count > EVENTS / PAGE
    assert (reply.headers["Content-Type"], "Content-Length" in reply.headers) == ("application/json", False)


@pytest.mark.usefixtures("events")
async def test_a_reader_that_stops_reading_stops_the_reading_of_the_database(
    services: Services, database: asyncpg.Connection, pages: Pages
) -> None:
    taken: list[dict[str, Any]] = []
    stopped, left = asyncio.Event(), asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        taken.append(message)
        if pages.count >= 3:
            stopped.set()
            await asyncio.Event().wait()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    headers = [(name.lower().encode(), value.encode()) for name, value in ADMIN.items()]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": EXPORT,
        "raw_path": EXPORT.encode(),
        "query_string": b"",
    }
    scope |= {"headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "scheme": "http"}
    scope |= {"asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "root_path": ""}
    app: Any = create_app(services, asyncio.Event())
    answering = asyncio.create_task(app(scope, receive, send))
    await stopped.wait()

    # once the database has answered another client, everything that could be read ahead has been read
    for _ in range(5):
        await database.fetchval("SELECT count(*) FROM analytics_events")
    assert pages.count == 3
    assert len(b"".join(one.get("body", b"") for one in taken)) < EVENTS * 100

    left.set()
    await answering
    assert taken[-1].get("more_body")

    async def is_closed() -> bool:
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'analytics-privacy'"
        return bool(await database.fetchval(sessions) == 0)

    await eventually(is_closed)
    assert pages.count == 3


@pytest.mark.usefixtures("events")
async def test_a_fault_midway_ends_the_connection_and_not_the_document(
    services: Services, database: asyncpg.Connection, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learner_data, "_fetch", Pages(pages, fail_at=5))
    received: list[bytes] = []

    async def read(reply: httpx.Response) -> None:
        async for piece in reply.aiter_bytes():
            received.append(piece)

    async with (
        served(create_app(services, asyncio.Event())) as place,
        httpx.AsyncClient(base_url=f"http://{place}") as client,
        client.stream("GET", EXPORT, headers=ADMIN) as reply,
    ):
        assert reply.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await read(reply)
    assert b'"analytics_events"' in b"".join(received)
    with pytest.raises(json.JSONDecodeError):
        json.loads(b"".join(received))
    outcomes = await database.fetch("SELECT action, outcome FROM audit_log")
    assert [tuple(row) for row in outcomes] == [("GET /api/analytics/privacy/users/{user_id}/export", "200")]


async def test_a_database_that_is_away_from_the_start_is_a_refusal_on_record(
    client: httpx.AsyncClient, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise StorageUnavailable("lost", "the server went away")

    monkeypatch.setattr("dashboard.privacy.service.erased_at", fail)
    assert (await client.get(EXPORT, headers=ADMIN)).status_code == 503
    assert await database.fetchval("SELECT outcome FROM audit_log") == "503"
