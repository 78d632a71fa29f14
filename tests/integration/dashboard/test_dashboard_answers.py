"""The answers of the read service, and their freshness."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from dashboard.answers.percentiles import representative
from dashboard.services import Services
from runtime.settings import Settings
from storage.answers.aggregates import LearnerRecord, SystemRecord
from stream.entries.groups import ensure_group
from stream.server.connection import connect
from tests.support.aggregates import Aggregates
from tests.support.reading import (
    ANNA,
    HEATMAP,
    MINUTE,
    NOW,
    OVERVIEW,
    PROGRESS,
    READER,
    SYSTEM,
    TODAY,
    answer,
    bearer,
    client_of,
    days_ago,
    learner_token,
)

# Answers.


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
    await tables.session(anna, days_ago(0), NOW, NOW + MINUTE, ended_at=NOW, reported_us=90 * 60_000_000)
    await tables.session(anna, days_ago(1), NOW - timedelta(days=1), NOW - timedelta(days=1) + timedelta(seconds=20.5))
    await tables.session(anna, days_ago(0), NOW - 20 * MINUTE, NOW - 10 * MINUTE)
    await tables.session(anna, days_ago(30), NOW, NOW + 600 * MINUTE)
    await tables.stats(anna, xp=325, level=2, streak=11, streak_at=NOW)
    await tables.achievement(anna, "early", NOW - timedelta(days=30), name="Early bird")
    await tables.achievement(anna, "late", NOW - timedelta(days=29))
    await tables.material(anna, "read", viewed_on=days_ago(0), completed_on=days_ago(30))
    await tables.material(anna, "done", viewed_on=days_ago(29), completed_on=days_ago(29))
    await tables.material(anna, "old", viewed_on=days_ago(30))


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
        "distinct_materials_viewed": 2,
        "distinct_materials_completed": 1,
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
async def test_the_last_day_depends_on_the_time_zone(
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


async def test_a_learner_a_day_ahead_of_the_zone_is_answered_up_to_their_own_day(
    client: httpx.AsyncClient, tables: Aggregates, anna: bytes
) -> None:
    await tables.day(anna, days_ago(-1), xp=5)
    await tables.session(anna, days_ago(-1), NOW, NOW)
    await tables.material(anna, "m", viewed_on=days_ago(-1))
    overview = await answer(client, OVERVIEW, days=1)
    assert (overview["meta"]["from"], overview["meta"]["to"]) == ("2026-11-19", "2026-11-19")
    names = ("active_days", "current_streak", "longest_streak", "xp_earned", "total_sessions")
    assert [overview[name] for name in (*names, "distinct_materials_viewed")] == [1, 1, 1, 5, 1, 1]
    assert [day["date"] for day in (await answer(client, HEATMAP, days=2))["days"]] == ["2026-11-18", "2026-11-19"]
    assert (await answer(client, PROGRESS, days=1))["xp_trend"] == [{"date": "2026-11-19", "xp": 5}]


@pytest.mark.parametrize(
    ("active", "current", "longest"),
    [
        # five days up to yesterday, and tomorrow: the day between is missing
        ((5, 4, 3, 2, 1, -1), 1, 5),
        ((5, 4, 3, 2, 1, 0, -1), 7, 7),
        ((3, 2, 1, 0, -2), 1, 4),
        ((2, 1, 0), 3, 3),
        ((2, 1), 2, 2),
        ((3, 2), 0, 2),
    ],
)
async def test_streak_and_active_days_are_of_the_same_days(
    client: httpx.AsyncClient,
    tables: Aggregates,
    anna: bytes,
    active: tuple[int, ...],
    current: int,
    longest: int,
) -> None:
    for days in active:
        await tables.day(anna, days_ago(days))
    overview = await answer(client, OVERVIEW)
    assert (overview["current_streak"], overview["longest_streak"]) == (current, longest)
    assert overview["active_days"] == len(active)
    assert overview["meta"]["to"] == days_ago(min(0, *active)).isoformat()


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
        "to": "2026-11-18T12:35:00Z",
        "complete_from": None,
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
        "suppressed": [],
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
    assert (metrics["active_users"], metrics["suppressed"]) == (None, ["active_users"])
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
    for number in range(10):
        await tables.active(b"%032d" % number, start, start)
    shared = await answer(client, SYSTEM, READER, hours=1)
    assert shared == metrics
    # another limit, because the answer is shared and the clock is fixed
    enough = await answer(client, SYSTEM, READER, hours=1, limit=9)
    assert (enough["active_users"], enough["suppressed"]) == (11, [])
    [only] = (await answer(client, SYSTEM, READER, hours=1, limit=1))["top_endpoints"]
    assert only["endpoint"] == "/courses/{id}"


async def test_every_number_of_the_platform_is_of_the_same_window(
    client: httpx.AsyncClient, tables: Aggregates, anna: bytes
) -> None:
    start, end = NOW.replace(hour=11, minute=30, second=0), NOW.replace(minute=35, second=0)
    just = timedelta(microseconds=1)
    # the window includes the current bucket, but none after it and none before the first
    for bucket in (start - 5 * MINUTE, start, end - 5 * MINUTE, end, end + 5 * MINUTE):
        await tables.requests(bucket, "/", 200, 1)
        await tables.errors(bucket, "timeout", 1)
    for number in range(11):
        await tables.active(b"%032d" % number, end - just, end - just)
    await tables.active(anna, end, end)
    await tables.active(b"b" * 32, start - just, start - just)
    metrics = await answer(client, SYSTEM, READER, hours=1)
    assert (metrics["meta"]["from"], metrics["meta"]["to"]) == ("2026-11-18T11:30:00Z", "2026-11-18T12:35:00Z")
    assert metrics["total_requests"] == sum(step["requests"] for step in metrics["series"]) == 2
    assert metrics["top_endpoints"][0]["requests"] == metrics["errors_by_type"]["timeout"] == 2
    assert metrics["active_users"] == 11


async def test_hours_beyond_what_is_kept_are_said_to_be_incomplete(services: Services) -> None:
    kept_for_a_day = dataclasses.replace(services, system_metrics_retention=timedelta(days=1))
    async with client_of(kept_for_a_day) as client:
        for hours, complete_from in ((24, None), (25, "2026-11-17T12:00:00Z"), (720, "2026-11-17T12:00:00Z")):
            assert (await answer(client, SYSTEM, READER, hours=hours))["meta"]["complete_from"] == complete_from


# Freshness.


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
        """Answers whose freshness changes during the call."""

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
