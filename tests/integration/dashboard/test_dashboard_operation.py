"""The read service during outages, its metrics and health, and its page."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from datetime import datetime

import httpx

from cli.local.embedded.postgres import Postgres
from cli.local.embedded.valkey import Valkey
from dashboard.app import create_app
from dashboard.questions.table import QUESTIONS
from dashboard.server import open_services
from dashboard.services import Services
from runtime.settings import Settings
from storage.database.migrate import upgrade
from telemetry import metrics
from tests.support.reading import (
    ANNA,
    OVERVIEW,
    READER,
    SYSTEM,
    answer,
    client_of,
    refusal,
)

# Outages.


async def test_without_postgres_answers_are_503_and_come_back(own_postgres: Postgres, settings: Settings) -> None:
    await upgrade(own_postgres.url)
    own = Settings.model_validate({**dict(settings), "database_url": own_postgres.url})
    async with open_services(own) as services, client_of(services) as client:
        await answer(client, OVERVIEW)
        assert (await client.get("/readyz")).status_code == 200
        own_postgres.stop()
        for path, headers in ((OVERVIEW, ANNA), (SYSTEM, READER)):
            problem = await refusal(client, 503, path, headers)
            assert problem["code"] == "storage_unavailable"
        reply = await client.get(OVERVIEW, headers=ANNA)
        assert int(reply.headers["Retry-After"]) > 0
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert {check["name"] for check in ready.json()["checks"] if not check["ok"]} == {"postgres", "migrations"}
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/metrics")).status_code == 200
        own_postgres.start()
        await answer(client, OVERVIEW)
        ready = await client.get("/readyz")
        assert [check["name"] for check in ready.json()["checks"] if not check["ok"]] == []


async def test_without_redis_answers_still_come(own_valkey: Valkey, settings: Settings) -> None:
    own = Settings.model_validate({**dict(settings), "redis_url": own_valkey.url})
    async with open_services(own) as services, client_of(services) as client:
        assert (await client.get("/readyz")).status_code == 200
        own_valkey.stop()
        await services.freshness.refresh()
        assert (await answer(client, OVERVIEW))["meta"]["consistent_through"] is None
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert {check["name"] for check in ready.json()["checks"] if not check["ok"]} == {"redis", "lag"}


async def test_a_defect_is_a_problem_without_details(services: Services) -> None:
    def broken() -> datetime:
        raise ZeroDivisionError("a secret")

    transport = httpx.ASGITransport(
        create_app(dataclasses.replace(services, clock=broken), asyncio.Event()), raise_app_exceptions=False
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://dashboard") as client:
        problem = await refusal(client, 500, OVERVIEW)
    assert "secret" not in str(problem)


# Metrics, health and headers.


async def test_every_question_is_counted_from_the_start(client: httpx.AsyncClient) -> None:
    exposed = (await client.get("/metrics")).text
    for question in QUESTIONS:
        for code in (str(question.status.value), "401", "500", "503"):
            assert f'analytics_read_requests_total{{code="{code}",route="{question.path}"}}' in exposed


async def test_a_service_that_has_everything_is_ready(client: httpx.AsyncClient) -> None:
    reply = await client.get("/readyz")
    assert reply.status_code == 200
    assert {check["name"]: check["ok"] for check in reply.json()["checks"]} == {
        "postgres": True,
        "migrations": True,
        "redis": True,
        "lag": True,
    }


def counted(route: str, code: int) -> float:
    labels = {"route": route, "code": str(code)}
    return metrics.registry.get_sample_value("analytics_read_requests_total", labels) or 0


async def test_requests_are_counted_by_route_never_by_address(client: httpx.AsyncClient) -> None:
    expected = {(OVERVIEW, 200): 2, (OVERVIEW, 401): 1, (SYSTEM, 403): 1, ("/livez", 200): 1, ("unmatched", 404): 1}
    before = {key: counted(*key) for key in expected}
    for path, headers in (
        (f"{OVERVIEW}?user_id=anna", ANNA),
        (f"{OVERVIEW}?user_id=anna", READER),
        (OVERVIEW, {}),
        (SYSTEM, ANNA),
        ("/livez", {}),
        ("/some/user/anna", {}),
    ):
        await client.get(path, headers=headers)
    assert {key: counted(*key) - before[key] for key in expected} == expected
    reply = await client.get("/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert 'analytics_db_pool_connections{pool="studyin-dashboard",state="idle"} 1.0' in reply.text
    assert "anna" not in reply.text


async def test_responses_have_security_headers(client: httpx.AsyncClient) -> None:
    statuses = {OVERVIEW: 200, SYSTEM: 403, "/nothing": 404, "/": 200, "/docs": 200, "/livez": 200}
    for path, status in statuses.items():
        reply = await client.get(path, headers=ANNA)
        assert (path, reply.status_code) == (path, status)
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        policy = dict(part.strip().split(" ", 1) for part in reply.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy.get("script-src", "'self'") == "'self'"
        if path.startswith("/api"):
            assert reply.headers["Cache-Control"] == "private, no-store"


async def test_the_documentation_loads_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert parts
    for part in [*parts, "/openapi.json"]:
        assert part.startswith("/")
        assert (await client.get(part)).status_code == 200


# The page.


async def test_the_page_brings_everything_it_needs(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "<script>" not in page.text
    assert "style=" not in page.text
    assert "http" not in page.text
    for name in ("page.js", "ask.js", "draw.js", "page.css", "icon.svg"):
        part = await client.get(f"/page/{name}")
        assert part.status_code == 200
        assert part.headers["Cache-Control"] == "no-cache"
    for name in ("__init__.py", "..%2f__init__.py", "index.html%00"):
        assert (await client.get(f"/page/{name}")).status_code == 404


async def test_the_page_is_for_development_only(services: Services) -> None:
    async with client_of(dataclasses.replace(services, shows_page=False)) as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/page/page.js")).status_code == 404
