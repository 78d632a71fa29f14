"""The shortcut past FastAPI answers what FastAPI would, to the byte, and leaves the same record."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from itertools import product
from typing import Any, NamedTuple

import httpx
import pytest

from dashboard.api import create_api
from dashboard.edge import Edge
from dashboard.services import Services
from dashboard.shortcut import Shortcut
from runtime.errors import StorageUnavailable
from storage.privacy.audit import AuditEntry
from tests.support.access import EVENTS_KEY, WRITE_KEY
from tests.support.aggregates import Aggregates
from tests.support.reading import ANNA, HEATMAP, NOW, OVERVIEW, PROGRESS, READER, SYSTEM, bearer

EVENTS = "/api/analytics/events"
OPERATOR = bearer(EVENTS_KEY)
QUESTIONS = (OVERVIEW, HEATMAP, PROGRESS, SYSTEM, EVENTS)
ASKED: tuple[dict[str, str | list[str]], ...] = (
    {},
    {"user_id": "anna"},
    {"user_id": "ben"},
    {"user_id": ""},
    {"user_id": "anna", "days": "400", "tz": "Asia/Tokyo"},
    {"user_id": "anna", "days": "0"},
    {"user_id": "anna", "tz": "Nowhere"},
    {"user_id": ["ben", "anna"]},
    {"hours": "3", "limit": "7"},
    {"hours": "x"},
    {"user_id": "anna", "days": ["1", "30"]},
    {"user_id": "anna", "tz": "localtime"},
    {"hours": ["1", "1"], "limit": "7"},
    {"limit": ["1", "2"], "type": ["xp_earned", "level_up"]},
    {"unknown": ["a", "b"]},
    {"since": "2026-11-01T00:00:00Z", "type": "xp_earned,session_start"},
    {"type": ["xp_earned", "session_start"]},
    {"types": "xp_earned"},
    {"type": "nonsense", "limit": "0"},
    {"cursor": "nonsense"},
    {"session_id": "x", "until": "yesterday"},
)
KNOWN = (READER, OPERATOR, ANNA, bearer(WRITE_KEY))
STRANGERS: tuple[dict[str, str], ...] = ({}, bearer("no-such-key"), {"X-API-Key": "no-such-key"})


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


class Record:
    """Keeps entries in memory."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    async def record(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


class Away:
    """A database that is away."""

    def __getattr__(self, name: str) -> Any:
        raise StorageUnavailable("connection")


def way(services: Services, *, is_short: bool) -> httpx.AsyncClient:
    api = create_api()
    [shortcut] = api.user_middleware
    assert repr(shortcut).startswith(f"Middleware({Shortcut.__name__}")
    if not is_short:
        api.user_middleware.clear()
    api.state.services = services
    transport = httpx.ASGITransport(Edge(api, frozenset()), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://dashboard")


async def reply_to(client: httpx.AsyncClient, path: str, asked: Any, headers: dict[str, str]) -> Reply:
    reply = await client.get(path, params=asked, headers=headers)
    request_id = reply.headers.pop("X-Request-Id")
    # chosen at random
    reply.headers.pop("Retry-After", None)
    return Reply(reply.status_code, dict(reply.headers), reply.text.replace(request_id, "id"))


@pytest.mark.parametrize("path", QUESTIONS)
async def test_both_ways_give_the_same(services: Services, tables: Aggregates, anna: bytes, path: str) -> None:
    await tables.day(anna, NOW.date(), count=3, viewed=1, completed=1, xp=10)
    record = Record()
    watched = dataclasses.replace(services, audit=record)
    async with way(watched, is_short=True) as short, way(watched, is_short=False) as long:
        statuses = set()
        # strangers once each: who fails too often is told to wait
        for asked, caller in [*product(ASKED, KNOWN), *product(ASKED[:1], STRANGERS)]:
            expected = await reply_to(long, path, asked, caller)
            entries, record.entries = record.entries, []
            assert await reply_to(short, path, asked, caller) == expected
            assert record.entries == entries
            record.entries = []
            statuses.add(expected.status)
    assert statuses == {200, 401, 403, 422}


@pytest.mark.parametrize("path", QUESTIONS)
async def test_both_ways_tell_of_an_outage_and_of_a_defect_alike(services: Services, path: str) -> None:
    def broken() -> datetime:
        raise ZeroDivisionError("a secret")

    faults: tuple[tuple[dict[str, Any], int], ...] = (
        ({"answers": Away(), "archive": Away()}, 503),
        ({"clock": broken}, 500),
    )
    for fault, status in faults:
        faulty = dataclasses.replace(services, **fault)
        async with way(faulty, is_short=True) as short, way(faulty, is_short=False) as long:
            asked = {} if path == SYSTEM else {"user_id": "anna"}
            caller = OPERATOR if path == EVENTS else READER
            expected = await reply_to(long, path, asked, caller)
            assert expected.status == status
            assert await reply_to(short, path, asked, caller) == expected
