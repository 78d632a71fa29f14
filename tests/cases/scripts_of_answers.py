"""Scripts of cases about the read service: events on certain days or a special token, then a request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from runtime.clock import utc_now
from tests.cases.case import Case
from tests.cases.expectations import PROBLEM, assert_as_expected
from tests.cases.stage import Stage
from tests.cases.wire import Reply, exchange
from tests.support.access import JWT_SECRET
from tests.support.assembled import Assembled
from tests.support.reading import HEATMAP, OVERVIEW

ROME = ZoneInfo("Europe/Rome")


async def track(system: Assembled, *events: Mapping[str, Any]) -> None:
    request = {"service": "ingest", "method": "POST", "path": "/api/analytics/events/batch", "auth": "write"}
    reply = await exchange(system, {**request, "json": {"events": list(events)}})
    assert reply.status == 202, reply.content
    await system.settled()


async def ask(system: Assembled, path: str) -> Reply:
    reply = await exchange(system, {"service": "dashboard", "method": "GET", "path": path, "auth": "read"})
    assert reply.status == 200, reply.content
    return reply


def last_day_of_25_hours(today: date) -> date:
    """Return the last date before `today` on which clocks in Rome were set back."""
    day = today - timedelta(days=1)
    while _utc_offset(day) - _utc_offset(day + timedelta(days=1)) != timedelta(hours=1):
        day -= timedelta(days=1)
    return day


def _utc_offset(day: date) -> timedelta:
    offset = datetime(day.year, day.month, day.day, tzinfo=ROME).utcoffset()
    assert offset is not None
    return offset


async def days_around_one_of_25_hours(case: Case, stage: Stage) -> None:
    middle = last_day_of_25_hours(utc_now().date() - timedelta(days=6))
    days = [middle + timedelta(days=number) for number in range(-5, 6)]
    events = [
        {
            "event_type": "xp_earned",
            "user_id": "rome",
            "timestamp": datetime(day.year, day.month, day.day, 0, 30, tzinfo=ROME).isoformat(),
            "properties": {"xp_amount": 1},
        }
        for day in days
    ]
    random.Random(4).shuffle(events)
    await track(stage.system, *events)
    overview = await ask(stage.system, f"{OVERVIEW}?user_id=rome&days=400")
    assert overview.document["longest_streak"] == case.expected["longest_streak"]
    heatmap = (await ask(stage.system, f"{HEATMAP}?user_id=rome&days=400")).document["days"]
    assert len({day["date"] for day in heatmap}) == len(heatmap) == 400
    assert [day["date"] for day in heatmap if day["activity_count"]] == [day.isoformat() for day in days]


async def a_tab_left_open_overnight(case: Case, stage: Stage) -> None:
    evening = yesterday_at(22) - timedelta(days=1)
    session = {"user_id": "overnight", "session_id": "0199c3b2-6d5e-7c4a-9b1d-2f3a4b5c6d7e"}
    await track(
        stage.system,
        {**session, "event_type": "session_start", "timestamp": evening.isoformat(), "properties": {}},
        {
            **session,
            "event_type": "material_view",
            "timestamp": (evening + timedelta(hours=10)).isoformat(),
            "properties": {"material_id": "limits-1"},
        },
    )
    assert_as_expected(case.expected, await ask(stage.system, f"{OVERVIEW}?user_id=overnight"))


async def a_session_longer_than_a_day(case: Case, stage: Stage) -> None:
    assert set(case.expected) == {"note"}
    start = yesterday_at(10)
    session = {"user_id": "long", "session_id": "0199c3b2-6d5e-7c4a-9b1d-2f3a4b5c6d7f"}
    end = {"duration_seconds": 90_000}
    await track(
        stage.system,
        {**session, "event_type": "session_start", "timestamp": start.isoformat(), "properties": {}},
        {
            **session,
            "event_type": "session_end",
            "timestamp": (start + timedelta(minutes=5)).isoformat(),
            "properties": end,
        },
    )
    days = (await ask(stage.system, f"{HEATMAP}?user_id=long")).document["days"]
    assert sum(day["duration_minutes"] for day in days) == 1440


def yesterday_at(hour: int) -> datetime:
    return (utc_now() - timedelta(days=1)).astimezone(UTC).replace(hour=hour, minute=0, second=0, microsecond=0)


async def a_token_whose_subject_is_a_number(case: Case, stage: Stage) -> None:
    assert set(case.expected) == {"note"}
    await track(stage.system, {"event_type": "xp_earned", "user_id": "42", "properties": {"xp_amount": 7}})
    token = signed({"sub": 42, "exp": int(time.time()) + 3600})
    reply = await exchange(
        stage.system,
        {
            "service": "dashboard",
            "method": "GET",
            "path": OVERVIEW,
            "headers": {"Authorization": f"Bearer {token}"},
        },
    )
    assert_as_expected({"status": 200, "total_xp": 7}, reply)


def signed(claims: Mapping[str, Any]) -> str:
    """Return a signed token. The library that other tests use accepts only a string as `sub`."""
    head, body = (_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    signature = hmac.digest(JWT_SECRET.encode(), f"{head}.{body}".encode(), hashlib.sha256)
    return f"{head}.{body}.{_base64(signature)}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


async def an_address_that_is_too_long(case: Case, stage: Stage) -> None:
    path = f"{OVERVIEW}?user_id={'a' * 70_000}"
    reply = await exchange(stage.system, {"service": "dashboard", "method": "GET", "path": path, "auth": "read"})
    assert 400 <= reply.status < 500
    assert reply.media_type == case.expected["content_type"] == PROBLEM
