"""The metrics of ingest."""

from __future__ import annotations

import asyncio
import re

import httpx

from ingest.privacy.validators import VALIDATORS
from ingest.routes import BATCH, TRACK
from ingest.segment import routes as segment
from ingest.server import create_app
from runtime.settings import Settings
from stream.server.connection import Redis
from tests.support.access import WRITE_KEY
from tests.support.reading import bearer

GOOD = {"event_type": "xp_earned", "user_id": "u", "properties": {"xp_amount": 5}}


async def counts(client: httpx.AsyncClient) -> dict[str, float]:
    """Return the counters of ingest by series, without durations."""
    lines = (await client.get("/metrics")).text.splitlines()
    series = [
        line.rpartition(" ") for line in lines if line.startswith(("analytics_ingest_", "analytics_stream_publish_"))
    ]
    return {name: float(value) for name, _, value in series if not re.search("seconds_(sum|bucket)|_bucket", name)}


async def test_what_is_counted_of_a_batch(settings: Settings, redis: Redis) -> None:
    transport = httpx.ASGITransport(create_app(settings, redis, asyncio.Event()))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=bearer(WRITE_KEY)) as client:
        await _count_a_batch(client)


async def test_each_route_status_and_validator_is_counted_from_the_start(settings: Settings, redis: Redis) -> None:
    transport = httpx.ASGITransport(create_app(settings, redis, asyncio.Event()))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        exposed = await counts(client)
    for path in (TRACK, BATCH, segment.BATCH, *segment.CALLS.values()):
        for code in ("400", "401", "429", "500", "503"):
            assert exposed[f'analytics_ingest_requests_total{{code="{code}",route="{path}"}}'] >= 0
    for name in VALIDATORS:
        assert exposed[f'analytics_ingest_detector_failures_total{{detector="{name}"}}'] >= 0


async def _count_a_batch(client: httpx.AsyncClient) -> None:
    search = {"event_type": "search_query", "user_id": "u", "properties": {"query_length": 1, "results_count": 0}}
    before = await counts(client)
    assert (await client.post(BATCH, json=[GOOD, search, search, {"event_type": "x"}])).status_code == 207
    after = await counts(client)
    assert {name: after[name] - was for name, was in before.items() if after[name] != was} == {
        'analytics_ingest_events_total{outcome="accepted"}': 3,
        'analytics_ingest_events_total{outcome="rejected"}': 1,
        'analytics_ingest_accepted_events_total{event_type="xp_earned"}': 1,
        'analytics_ingest_accepted_events_total{event_type="search_query"}': 2,
        "analytics_ingest_batch_events_count": 1,
        "analytics_ingest_batch_events_sum": 4,
        f'analytics_ingest_requests_total{{code="207",route="{BATCH}"}}': 1,
        f'analytics_ingest_request_duration_seconds_count{{route="{BATCH}"}}': 1,
        "analytics_stream_publish_events_count": 1,
        "analytics_stream_publish_events_sum": 3,
        "analytics_stream_publish_duration_seconds_count": 1,
    }
