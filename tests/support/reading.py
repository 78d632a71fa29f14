"""Requests to the read service: its paths, credentials, and answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import jwt

from dashboard.app import create_app
from dashboard.services import Services
from tests.support.access import JWT_SECRET, READ_KEY

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
    return jwt.encode({"sub": user_id, "exp": int(time.time()) + 86_400}, JWT_SECRET, algorithm="HS256")


ANNA = bearer(learner_token("anna"))
READER = bearer(READ_KEY)


@asynccontextmanager
async def client_of(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(services, asyncio.Event()))
    async with httpx.AsyncClient(transport=transport, base_url="http://dashboard") as client:
        yield client


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
