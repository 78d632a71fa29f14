"""Ingest refuses events before Redis is in danger, sends Retry-After, and accepts events again without intervention."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from cli.sending.delivery import IngestClient
from ingest.backpressure import PressureGauge
from ingest.intake import RETRY_UNDER_PRESSURE
from ingest.routes import BATCH, TRACK
from ingest.server import create_app, open_gauge
from runtime.settings import Settings
from stream.entries.groups import ensure_group
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import connect
from stream.server.load import measure_load
from tests.support.access import API_KEYS, PSEUDONYM_KEYS, WRITE_KEY
from tests.support.entries import append_events, stream_entries
from tests.support.events import event, learner

KEY = stream_key(0)
GOOD = {"event_type": "xp_earned", "user_id": "u", "properties": {"xp_amount": 5}}
LIMITED_KEY = "a-key-with-a-limit"


def settings_for(redis_url: str, **more: Any) -> Settings:
    keys = json.loads(API_KEYS)
    limit = {"rate_limit_per_second": 100, "rate_limit_burst": 400}
    keys.append({"source": "limited", "key": LIMITED_KEY, "scopes": ["events:write"], **limit})
    given = {"environment": "dev", "redis_url": redis_url, "pseudonym_keys": PSEUDONYM_KEYS, "api_keys": keys}
    return Settings.model_validate(given | more)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(settings_for(redis_url))
    yield client
    await client.aclose()


@asynccontextmanager
async def ingest(
    redis: Redis, settings: Settings, key: str = WRITE_KEY
) -> AsyncIterator[tuple[httpx.AsyncClient, PressureGauge]]:
    gauge = open_gauge(settings, redis)
    transport = httpx.ASGITransport(create_app(settings, redis, asyncio.Event(), gauge))
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
        yield client, gauge


async def append(redis: Redis, count: int, partitions: int = 1) -> None:
    events = [event("session_start", number=number, user_hash=learner(number)) for number in range(count)]
    await append_events(redis, events, partitions)


async def settle(redis: Redis, count: int) -> None:
    """Read and acknowledge entries, as a worker does after storing them."""
    entries: Any = await redis.xreadgroup(STORE_GROUP, "worker", {KEY: ">"}, count=count)
    for _, page in entries:
        await redis.xack(KEY, STORE_GROUP, *(entry_id for entry_id, _ in page))


async def test_what_is_not_stored_is_counted_until_it_is(redis: Redis) -> None:
    assert (await measure_load(redis, 2)).unsettled == 0
    await append(redis, 100)
    alone = await measure_load(redis, 1)
    assert alone.unsettled == 100
    assert alone.unsettled_bytes == await redis.memory_usage(KEY)
    await ensure_group(redis, 0, STORE_GROUP)
    await redis.xreadgroup(STORE_GROUP, "worker", {KEY: ">"}, count=30)
    assert (await measure_load(redis, 1)).unsettled == 100
    await settle(redis, 70)
    load = await measure_load(redis, 1)
    assert load.unsettled == 30
    assert load.unsettled_bytes == pytest.approx(0.3 * (await redis.memory_usage(KEY) or 0), rel=0.01)


async def test_every_partition_counts(redis: Redis) -> None:
    await append(redis, 100, partitions=4)
    assert (await measure_load(redis, 4)).unsettled == 100
    assert 0 < (await measure_load(redis, 1)).unsettled < 100


async def test_an_unknown_backlog_counts_only_pending_entries(redis: Redis) -> None:
    await append(redis, 10)
    await ensure_group(redis, 0, STORE_GROUP)
    await redis.xreadgroup(STORE_GROUP, "worker", {KEY: ">"}, count=3)
    undelivered = (await stream_entries(redis))[5][0]
    await redis.xdel(KEY, undelivered)
    assert (await measure_load(redis, 1)).unsettled == 3


async def test_memory_and_log_are_those_of_the_server(redis: Redis) -> None:
    await redis.config_set("maxmemory", 123 * 1024**2)
    try:
        load = await measure_load(redis, 1)
    finally:
        await redis.config_set("maxmemory", 0)
    assert load.max_memory == 123 * 1024**2
    assert 0 < load.used_memory < load.max_memory
    assert load.append_only_file == bool((await redis.info("persistence"))["aof_enabled"])


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_backlog_events": 4_999}, "backlog_full"),
        ({"stream_max_bytes": 1024**2}, "stream_full"),
    ],
)
async def test_a_backlog_past_its_limit_is_refused_until_it_is_stored(
    redis: Redis, redis_url: str, limits: dict[str, int], code: str
) -> None:
    await ensure_group(redis, 0, STORE_GROUP)
    await append(redis, 20_000)
    async with ingest(redis, settings_for(redis_url, **limits)) as (client, gauge):
        await gauge.sample()
        refused = await client.post(BATCH, json=[GOOD, GOOD])
        assert (refused.status_code, refused.json()["code"]) == (503, code)
        assert int(refused.headers["retry-after"]) in RETRY_UNDER_PRESSURE
        assert (await client.get("/readyz")).status_code == 200
        assert await redis.xlen(KEY) == 20_000
        await settle(redis, 20_000)
        await gauge.sample()
        assert (await client.post(BATCH, json=[GOOD, GOOD])).status_code == 202


async def test_ingest_refuses_before_redis_is_full(redis: Redis, redis_url: str) -> None:
    async with ingest(redis, settings_for(redis_url)) as (client, gauge):
        used = (await redis.info("memory"))["used_memory"]
        try:
            await redis.config_set("maxmemory", used * 10 // 9)
            await gauge.sample()
            refused = await client.post(TRACK, json=GOOD)
            # Redis itself would still have accepted it
            await append(redis, 1)
            await redis.config_set("maxmemory", used * 2)
            await gauge.sample()
            assert (await client.post(TRACK, json=GOOD)).status_code == 202
        finally:
            await redis.config_set("maxmemory", 0)
    assert (refused.status_code, refused.json()["code"]) == (503, "memory_short")


async def test_what_is_refused_is_not_read(redis: Redis, redis_url: str) -> None:
    await append(redis, 2)
    settings = settings_for(redis_url, max_backlog_events=1)
    gauge = open_gauge(settings, redis)
    await gauge.sample()
    app = create_app(settings, redis, asyncio.Event(), gauge)
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {WRITE_KEY}".encode())]
    await app({"type": "http", "path": BATCH, "method": "POST", "headers": headers}, receive, send)
    assert sent[0]["status"] == 503


async def test_retry_after_has_jitter(redis: Redis, redis_url: str) -> None:
    await append(redis, 2)
    async with ingest(redis, settings_for(redis_url, max_backlog_events=1)) as (client, gauge):
        await gauge.sample()
        waits = {(await client.post(TRACK, json=GOOD)).headers["retry-after"] for _ in range(50)}
    assert len(waits) > 3


async def test_a_key_past_its_limit_is_refused_whole_and_nobody_else_is(redis: Redis, redis_url: str) -> None:
    settings = settings_for(redis_url)
    async with ingest(redis, settings, LIMITED_KEY) as (client, _):
        # a rejected event counts as much as an accepted one
        assert (await client.post(BATCH, json=[GOOD] * 399 + [{}])).status_code == 207
        refused = await client.post(BATCH, json=[GOOD] * 400)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["content-type"] == "application/problem+json"
        assert 1 <= int(refused.headers["retry-after"]) <= 4
        assert await redis.xlen(KEY) == 399
        never = await client.post(BATCH, json=[GOOD] * 401)
        assert (never.status_code, never.json()["code"]) == (413, "batch_exceeds_burst")
        assert "retry-after" not in never.headers
        other = {"Authorization": f"Bearer {WRITE_KEY}"}
        assert (await client.post(BATCH, json=[GOOD] * 500, headers=other)).status_code == 202


async def test_a_sender_that_honours_retry_after_is_not_refused_twice_in_a_row(redis: Redis, redis_url: str) -> None:
    statuses: list[int] = []

    async def note(response: httpx.Response) -> None:
        statuses.append(response.status_code)

    events = [json.dumps(GOOD | {"event_id": f"event-{number}"}).encode() for number in range(750)]
    async with ingest(redis, settings_for(redis_url), LIMITED_KEY) as (client, _):
        client.event_hooks["response"].append(note)
        verdicts = await IngestClient(client).deliver(events)
    assert {verdict.status for verdict in verdicts} == {"accepted"}
    assert await redis.xlen(KEY) == 750
    # halved until it fits; then each wait is correct
    assert statuses == [413, 202, 429, 202]
