"""The read service over HTTP, on a real Postgres and Redis; the clock stands still."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import jwt
import pytest

from dashboard.app import create_app
from dashboard.percentiles import representative
from dashboard.server import open_services
from dashboard.services import Services
from runtime.embedded.postgres import Postgres
from runtime.embedded.valkey import Valkey
from runtime.settings import Settings
from storage.answers import LearnerRecord, SystemRecord
from storage.migrate import upgrade
from stream.connection import connect
from stream.groups import ensure_group
from telemetry import metrics
from tests.support.access import ADMIN_KEY, JWT_SECRET, READ_KEY, WRITE_KEY
from tests.support.aggregates import Aggregates

NOW = datetime(2026, 11, 18, 12, 34, 56, tzinfo=UTC)
TODAY = NOW.date()
MINUTE = timedelta(minutes=1)

OVERVIEW, HEATMAP = "/api/analytics/learning/overview", "/api/analytics/learning/heatmap"
PROGRESS, SYSTEM = "/api/analytics/gamification/progress", "/api/analytics/system/metrics"
OF_LEARNERS = (OVERVIEW, HEATMAP, PROGRESS)


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def learner_token(user_id: str) -> str:
    return jwt.encode({"sub": user_id, "exp": int(time.time()) + 600}, JWT_SECRET, algorithm="HS256")


ANNA = bearer(learner_token("anna"))
READER = bearer(READ_KEY)


@asynccontextmanager
async def client_of(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(services, asyncio.Event()))
    async with httpx.AsyncClient(transport=transport, base_url="http://dashboard") as client:
        yield client


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as services:
        yield dataclasses.replace(services, clock=lambda: NOW)


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(services) as client:
        yield client


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Aggregates]:
    connection = await asyncpg.connect(database_url)
    yield Aggregates(connection)
    await connection.close()


@pytest.fixture
def anna(settings: Settings) -> bytes:
    return settings.pseudonymizer().pseudonym("anna")


async def answer(
    client: httpx.AsyncClient, path: str, headers: Mapping[str, str] = ANNA, **parameters: str | int
) -> dict[str, Any]:
    reply = await client.get(path, headers=headers, params=parameters)
    assert reply.status_code == 200, reply.text
    body: dict[str, Any] = reply.json()
    return body


async def refusal(
    client: httpx.AsyncClient, status: int, path: str, headers: Mapping[str, str] = ANNA, **parameters: str | int
) -> dict[str, Any]:
    reply = await client.get(path, headers=headers, params=parameters)
    assert reply.status_code == status, reply.text
    assert reply.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = reply.json()
    assert body["status"] == status
    assert body["instance"] == reply.headers["X-Request-Id"]
    return body


# Who may ask what.

ANY: dict[str, str] = {}
ONE = {"user_id": "anna"}
CREDENTIALS: dict[str, tuple[dict[str, str], dict[str, str], int, int]] = {
    # headers, parameters, status about a learner, status about the platform
    "nothing": ({}, ONE, 401, 401),
    "no bearer": ({"Authorization": f"Basic {READ_KEY}"}, ONE, 401, 401),
    "unknown key": (bearer("no-such-key"), ONE, 401, 401),
    "forged token": (bearer(jwt.encode({"sub": "anna", "exp": 9999999999}, "f" * 32)), ONE, 401, 401),
    "expired token": (bearer(jwt.encode({"sub": "anna", "exp": 1}, JWT_SECRET)), ONE, 401, 401),
    "token": (ANNA, ANY, 200, 403),
    "token naming its learner": (ANNA, ONE, 200, 403),
    "token naming another": (ANNA, {"user_id": "ben"}, 403, 403),
    "read key": (READER, ONE, 200, 200),
    "read key as X-API-Key": ({"X-API-Key": READ_KEY}, ONE, 200, 200),
    "read key naming nobody": (READER, ANY, 422, 200),
    "write key": (bearer(WRITE_KEY), ONE, 403, 403),
    "write key naming nobody": (bearer(WRITE_KEY), ANY, 403, 403),
    "admin key without the scopes": (bearer(ADMIN_KEY), ONE, 403, 403),
}


async def test_each_credential_opens_what_it_should(client: httpx.AsyncClient) -> None:
    expected, found = {}, {}
    for credential, (headers, parameters, about_learner, about_platform) in CREDENTIALS.items():
        for path in (*OF_LEARNERS, SYSTEM):
            reply = await client.get(path, headers=headers, params={} if path == SYSTEM else parameters)
            found[credential, path] = reply.status_code
            expected[credential, path] = about_platform if path == SYSTEM else about_learner
            assert ("WWW-Authenticate" in reply.headers) == (reply.status_code == 401 or "missing_scope" in reply.text)
            assert "anna" not in reply.text
            assert "ben" not in reply.text
    assert found == expected


async def test_who_may_not_ask_learns_nothing_of_how_to(client: httpx.AsyncClient) -> None:
    for path in (*OF_LEARNERS, SYSTEM):
        await refusal(client, 401, path, {}, days="x", hours="x", nonsense="x")


# What may be asked.


WRONG: list[tuple[str, str, str]] = [
    *((path, "days", value) for path in OF_LEARNERS for value in ("0", "-1", "3651", "x", "", "1.5", "9" * 5000)),
    *((path, "tz", value) for path in OF_LEARNERS for value in ("", "Mars/Base", "utc", "../UTC", "/etc/passwd")),
    (OVERVIEW, "tz", "America"),
    (OVERVIEW, "tz", "UTC\x00"),
    (OVERVIEW, "user_id", ""),
    (OVERVIEW, "user_id", "x" * 129),
    (OVERVIEW, "user_id", "a\x00b"),
    (OVERVIEW, "hours", "1"),
    *((SYSTEM, "hours", value) for value in ("0", "721", "x")),
    *((SYSTEM, "limit", value) for value in ("0", "101", "x")),
    (SYSTEM, "user_id", "anna"),
    (SYSTEM, "tz", "UTC"),
]


async def test_a_parameter_that_is_wrong_is_named(client: httpx.AsyncClient) -> None:
    for path, parameter, value in WRONG:
        known = {"user_id": "anna"} if path in OF_LEARNERS else {}
        problem = await refusal(client, 422, path, READER, **{**known, parameter: value})
        assert [error["parameter"] for error in problem["errors"]] == [parameter]
        if len(value) > 3:
            assert value not in str(problem)


async def test_the_widest_windows_are_answered(client: httpx.AsyncClient) -> None:
    assert len((await answer(client, HEATMAP, days=3650))["days"]) == 3650
    assert len((await answer(client, SYSTEM, READER, hours=720))["series"]) == 721


async def test_what_is_not_there_is_a_problem_too(client: httpx.AsyncClient) -> None:
    assert (await refusal(client, 404, "/api/analytics/nothing"))["code"] == "not_found"
    reply = await client.post(OVERVIEW, headers=ANNA)
    assert (reply.status_code, reply.json()["code"]) == (405, "method_not_allowed")
    assert reply.headers["Allow"] == "GET"


# What is answered.


async def test_a_learner_nobody_knows_gets_zeros_for_every_day(client: httpx.AsyncClient) -> None:
    overview = await answer(client, OVERVIEW)
    meta = overview.pop("meta")
    assert (meta["from"], meta["to"], meta["timezone"]) == ("2026-10-20", "2026-11-18", "UTC")
    assert meta["generated_at"] == "2026-11-18T12:34:56Z"
    assert overview.pop("current_level") == 1
    assert set(overview.values()) == {0}

    heatmap = await answer(client, HEATMAP)
    assert [day["date"] for day in heatmap["days"]] == [days_ago(364 - n).isoformat() for n in range(365)]
    assert all(
        (day["activity_count"], day["duration_minutes"], day["xp_earned"]) == (0, 0, 0) for day in heatmap["days"]
    )

    progress = await answer(client, PROGRESS)
    assert progress["xp_trend"] == [{"date": days_ago(29 - n).isoformat(), "xp": 0} for n in range(30)]
    del progress["meta"], progress["xp_trend"]
    assert progress == {
        "current_xp": 0,
        "current_level": 1,
        "xp_for_current_level": 0,
        "xp_for_next_level": 100,
        "progress_percentage": 0,
        "achievements": [],
        "reported_streak_days": None,
    }


@pytest.fixture
async def learned(tables: Aggregates, anna: bytes) -> None:
    """Active today, yesterday and the day before; before that, four days in a row, the last 30 days ago."""
    await tables.day(anna, days_ago(0), count=9, viewed=3, completed=1, xp=120)
    await tables.day(anna, days_ago(1), count=4, viewed=2)
    await tables.day(anna, days_ago(2), count=1, xp=5)
    for days in range(30, 34):
        await tables.day(anna, days_ago(days), count=7, viewed=7, completed=7, xp=50)
    # 90 minutes as reported; 20.5 seconds from first to last event; 10 minutes so far
    await tables.session(anna, days_ago(0), NOW, NOW + MINUTE, ended_at=NOW, reported_ms=90 * 60_000)
    await tables.session(anna, days_ago(1), NOW - timedelta(days=1), NOW - timedelta(days=1) + timedelta(seconds=20.5))
    await tables.session(anna, days_ago(0), NOW - 20 * MINUTE, NOW - 10 * MINUTE)
    await tables.session(anna, days_ago(30), NOW, NOW + 600 * MINUTE)
    await tables.stats(anna, xp=325, level=2, streak=11, streak_at=NOW)
    await tables.achievement(anna, "early", NOW - timedelta(days=30), name="Early bird")
    await tables.achievement(anna, "late", NOW - timedelta(days=29))


@pytest.mark.usefixtures("learned")
async def test_an_overview_sums_the_window_up(client: httpx.AsyncClient) -> None:
    overview = await answer(client, OVERVIEW)
    del overview["meta"]
    assert overview == {
        "total_sessions": 3,
        "open_sessions": 1,
        "total_duration_seconds": 5400 + 20.5 + 600,
        "materials_viewed": 5,
        "materials_completed": 1,
        "xp_earned": 125,
        "active_days": 3,
        "achievements_earned": 1,
        "total_xp": 325,
        "current_level": 3,
        "current_streak": 3,
        "longest_streak": 4,
    }


@pytest.mark.usefixtures("learned")
async def test_a_longer_window_holds_more_but_all_time_stays(client: httpx.AsyncClient) -> None:
    overview = await answer(client, OVERVIEW, days=31)
    assert (overview["total_sessions"], overview["active_days"], overview["achievements_earned"]) == (4, 4, 2)
    assert (overview["total_xp"], overview["current_streak"], overview["longest_streak"]) == (325, 3, 4)


@pytest.mark.usefixtures("learned")
async def test_a_heatmap_has_every_day(client: httpx.AsyncClient) -> None:
    days = (await answer(client, HEATMAP, days=4))["days"]
    assert days == [
        {"date": "2026-11-15", "activity_count": 0, "duration_minutes": 0, "xp_earned": 0},
        {"date": "2026-11-16", "activity_count": 1, "duration_minutes": 0, "xp_earned": 5},
        {"date": "2026-11-17", "activity_count": 4, "duration_minutes": 20.5 / 60, "xp_earned": 0},
        {"date": "2026-11-18", "activity_count": 9, "duration_minutes": 100, "xp_earned": 120},
    ]


@pytest.mark.usefixtures("learned")
async def test_progress_is_all_time_its_trend_is_the_window(client: httpx.AsyncClient) -> None:
    progress = await answer(client, PROGRESS, days=3)
    del progress["meta"]
    assert progress == {
        "current_xp": 325,
        "current_level": 3,
        "xp_for_current_level": 300,
        "xp_for_next_level": 600,
        "progress_percentage": pytest.approx(100 * 25 / 300),
        "achievements": [
            {"achievement_id": "late", "name": None, "earned_at": "2026-10-20T12:34:56Z"},
            {"achievement_id": "early", "name": "Early bird", "earned_at": "2026-10-19T12:34:56Z"},
        ],
        "xp_trend": [
            {"date": "2026-11-16", "xp": 5},
            {"date": "2026-11-17", "xp": 0},
            {"date": "2026-11-18", "xp": 120},
        ],
        "reported_streak_days": 11,
    }


@pytest.mark.usefixtures("learned")
async def test_another_learner_sees_none_of_it(client: httpx.AsyncClient) -> None:
    assert (await answer(client, OVERVIEW, bearer(learner_token("ben"))))["total_xp"] == 0
    assert (await answer(client, OVERVIEW, READER, user_id="anna"))["total_xp"] == 325


@pytest.mark.parametrize(
    ("zone", "today", "sessions"), [("UTC", "2026-11-18", 1), ("Pacific/Kiritimati", "2026-11-19", 0)]
)
async def test_the_zone_says_which_day_is_the_last(
    client: httpx.AsyncClient, tables: Aggregates, anna: bytes, zone: str, today: str, sessions: int
) -> None:
    await tables.session(anna, days_ago(0), NOW, NOW)
    overview = await answer(client, OVERVIEW, days=1, tz=zone)
    assert (overview["meta"]["from"], overview["meta"]["to"]) == (today, today)
    assert overview["total_sessions"] == sessions


async def test_a_streak_that_ended_yesterday_depends_on_what_today_is(
    client: httpx.AsyncClient, tables: Aggregates, anna: bytes
) -> None:
    await tables.day(anna, days_ago(1))
    assert (await answer(client, OVERVIEW))["current_streak"] == 1
    assert (await answer(client, OVERVIEW, tz="Pacific/Kiritimati"))["current_streak"] == 0


async def test_sums_beyond_what_a_float_holds_are_exact(
    client: httpx.AsyncClient, tables: Aggregates, anna: bytes
) -> None:
    await tables.stats(anna, xp=2**53 + 1)
    await tables.day(anna, TODAY, xp=2**53 + 1)
    assert (await answer(client, OVERVIEW))["xp_earned"] == 2**53 + 1
    assert (await answer(client, PROGRESS))["current_xp"] == 2**53 + 1


async def test_the_platform_at_rest_has_no_latency(client: httpx.AsyncClient) -> None:
    metrics = await answer(client, SYSTEM, READER, hours=1)
    assert metrics.pop("meta") == {
        "consistent_through": None,
        "generated_at": "2026-11-18T12:34:56Z",
        "from": "2026-11-18T11:30:00Z",
        "to": "2026-11-18T12:34:56Z",
    }
    series = metrics.pop("series")
    assert metrics == {
        "total_requests": 0,
        "latency_ms": {"p50": None, "p95": None, "p99": None},
        "error_rate": 0,
        "errors_by_type": {},
        "top_endpoints": [],
        "active_users": 0,
        "step_seconds": 300,
    }
    assert [step["start"] for step in series] == [
        (NOW.replace(hour=11, minute=30, second=0) + n * 5 * MINUTE).isoformat().replace("+00:00", "Z")
        for n in range(13)
    ]
    assert {(step["requests"], step["server_errors"]) for step in series} == {(0, 0)}


async def test_the_platform_in_numbers(client: httpx.AsyncClient, tables: Aggregates, anna: bytes) -> None:
    start = NOW.replace(hour=11, minute=30, second=0)
    await tables.requests(start, "/courses/{id}", 200, 98)
    await tables.requests(start + 5 * MINUTE, "/courses/{id}", 300, 1, server_errors=1)
    await tables.requests(start, "/search", 400, 1, server_errors=1)
    await tables.requests(start - 5 * MINUTE, "/search", 400, 50)
    await tables.errors(start, "timeout", 3)
    await tables.active(anna, start, start)
    metrics = await answer(client, SYSTEM, READER, hours=1)
    assert metrics["total_requests"] == 100
    low, middle, high = (pytest.approx(representative(bucket)) for bucket in (200, 300, 400))
    assert metrics["latency_ms"] == {
        "p50": low,
        "p95": low,
        # rank 98.01 of 0..99: between the 98 fast ones and the slowest
        "p99": pytest.approx(representative(300) + 0.01 * (representative(400) - representative(300))),
    }
    assert metrics["error_rate"] == 0.02
    assert metrics["errors_by_type"] == {"timeout": 3}
    assert metrics["active_users"] == 1
    courses, search = metrics["top_endpoints"]
    assert courses == {
        "endpoint": "/courses/{id}",
        "requests": 99,
        "error_rate": pytest.approx(1 / 99),
        "p50": low,
        "p95": low,
        "p99": pytest.approx(representative(200) + 0.02 * (representative(300) - representative(200))),
    }
    assert search == {"endpoint": "/search", "requests": 1, "error_rate": 1, "p50": high, "p95": high, "p99": high}
    assert [step["requests"] for step in metrics["series"]][:3] == [99, 1, 0]
    assert [step["server_errors"] for step in metrics["series"]][:3] == [1, 1, 0]
    assert middle != high
    [only] = (await answer(client, SYSTEM, READER, hours=1, limit=1))["top_endpoints"]
    assert only["endpoint"] == "/courses/{id}"


# How fresh it is.


async def test_an_answer_says_through_which_moment_it_is_complete(
    client: httpx.AsyncClient, services: Services, settings: Settings
) -> None:
    assert (await answer(client, OVERVIEW))["meta"]["consistent_through"] is None
    before = datetime.now(UTC)
    await services.freshness.refresh()
    for path, headers in ((OVERVIEW, ANNA), (HEATMAP, ANNA), (PROGRESS, ANNA), (SYSTEM, READER)):
        told = datetime.fromisoformat((await answer(client, path, headers))["meta"]["consistent_through"])
        assert before - timedelta(seconds=1) < told <= datetime.now(UTC) + timedelta(seconds=1)


async def test_an_answer_is_no_fresher_than_the_oldest_event_that_waits(
    client: httpx.AsyncClient, services: Services, settings: Settings
) -> None:
    redis = connect(settings)
    await ensure_group(redis, 0, "store")
    entry = await redis.xadd("analytics:events:{0}", {"event_id": "x"})
    assert isinstance(entry, bytes)
    await services.freshness.refresh()
    await redis.aclose()
    appended_at = datetime.fromtimestamp(int(entry.partition(b"-")[0]) / 1000, UTC)
    told = (await answer(client, OVERVIEW))["meta"]["consistent_through"]
    assert datetime.fromisoformat(told) == appended_at


async def test_freshness_is_taken_before_the_database_is_read(services: Services) -> None:
    early, late = NOW - MINUTE, NOW

    class Watched:
        """Becomes fresher while it is asked."""

        async def learner(self, *arguments: Any) -> LearnerRecord:
            services.freshness.consistent_through = late
            return await services.answers.learner(*arguments)

        async def system(self, *arguments: Any) -> SystemRecord:
            services.freshness.consistent_through = late
            return await services.answers.system(*arguments)

    async with client_of(dataclasses.replace(services, answers=Watched())) as client:
        for path, headers in ((OVERVIEW, ANNA), (HEATMAP, ANNA), (PROGRESS, ANNA), (SYSTEM, READER)):
            services.freshness.consistent_through = early
            told = (await answer(client, path, headers))["meta"]["consistent_through"]
            assert datetime.fromisoformat(told) == early


# Outages.


async def test_without_postgres_answers_are_503_and_come_back(own_postgres: Postgres, settings: Settings) -> None:
    await upgrade(own_postgres.url)
    own = Settings.model_validate({**dict(settings), "database_url": own_postgres.url})
    async with open_services(own) as services, client_of(services) as client:
        await answer(client, OVERVIEW)
        own_postgres.stop()
        for path, headers in ((OVERVIEW, ANNA), (SYSTEM, READER)):
            problem = await refusal(client, 503, path, headers)
            assert problem["code"] == "storage_unavailable"
        reply = await client.get(OVERVIEW, headers=ANNA)
        assert int(reply.headers["Retry-After"]) > 0
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert {check["name"] for check in ready.json()["checks"] if not check["ok"]} == {"postgres", "migrations"}
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/metrics")).status_code == 200
        own_postgres.start()
        await answer(client, OVERVIEW)
        assert (await client.get("/readyz")).status_code == 200


async def test_without_redis_answers_still_come(own_valkey: Valkey, settings: Settings) -> None:
    own = Settings.model_validate({**dict(settings), "redis_url": own_valkey.url})
    async with open_services(own) as services, client_of(services) as client:
        own_valkey.stop()
        await services.freshness.refresh()
        assert (await answer(client, OVERVIEW))["meta"]["consistent_through"] is None
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert {check["name"] for check in ready.json()["checks"] if not check["ok"]} == {"redis", "lag"}


async def test_a_defect_is_a_problem_that_tells_nothing(services: Services) -> None:
    def broken() -> datetime:
        raise ZeroDivisionError("a secret")

    transport = httpx.ASGITransport(
        create_app(dataclasses.replace(services, clock=broken), asyncio.Event()), raise_app_exceptions=False
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://dashboard") as client:
        problem = await refusal(client, 500, OVERVIEW)
    assert "secret" not in str(problem)


# What those who run it see.


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
    assert 'analytics_db_pool_connections{state="idle"} 1.0' in reply.text
    assert "anna" not in reply.text


async def test_browsers_are_told_to_be_careful(client: httpx.AsyncClient) -> None:
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
