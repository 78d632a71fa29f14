"""The SDK against the real ingest, on a real Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from redis.asyncio import Redis
from studyin_analytics import AnalyticsError, AnalyticsTracker, Client, EventRejected, SyncAnalyticsTracker

from ingest.server import create_app
from runtime.embedded import ports
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.catalogue import EventType
from schemas.entry import decode
from telemetry import metrics
from tests.sdk.tracking_calls import CALLS
from tests.support.access import API_KEYS, PSEUDONYM_KEYS, WRITE_KEY
from tests.support.doomed import Doomed
from tests.support.entries import stream_entries
from tests.support.serving import served
from tests.support.waiting import eventually

EVENTS = 10_000


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Ingest has a Redis and needs no database."""
    return Settings.model_validate(
        {
            "environment": "dev",
            "redis_url": redis_url,
            "database_url": "postgresql://nobody@127.0.0.1:1/nowhere",
            "pseudonym_keys": PSEUDONYM_KEYS,
            "api_keys": json.loads(API_KEYS),
        }
    )


@pytest.fixture
async def url(settings: Settings, redis: Redis) -> AsyncIterator[str]:
    async with served(create_app(settings, redis, asyncio.Event())) as place:
        yield f"http://{place}"


async def stored(redis: Redis) -> list[AcceptedEvent]:
    return [decode(fields) for _, fields in await stream_entries(redis)]


async def test_every_method_makes_an_event_that_ingest_takes(url: str, redis: Redis, settings: Settings) -> None:
    tracker = SyncAnalyticsTracker(url, write_key=WRITE_KEY, strict=True)
    ids = [getattr(tracker, name)(**said) for name, said in CALLS.items()]
    assert await asyncio.to_thread(tracker.shutdown, 10)
    assert tracker.stats().accepted == len(CALLS)
    found = await stored(redis)
    assert [str(event.event_id) for event in found] == ids
    assert {event.event_type for event in found} == set(EventType)
    learner = settings.pseudonymizer().pseudonym("7")
    assert [event.user_hash for event in found[:2]] == [learner, learner]


async def test_the_session_of_the_document_is_in_the_stream(url: str, redis: Redis) -> None:
    async with AnalyticsTracker(url, write_key=WRITE_KEY) as tracker:
        session_id = await tracker.start_learning_session(user_id=7, material_id=12)
        await tracker.track_material_interaction(
            user_id=7, material_id=12, material_type="pdf", interaction_type="view", progress_percentage=50.0
        )
        await tracker.end_learning_session(user_id=7, session_id=session_id, xp_earned=100)
    found = await stored(redis)
    assert [event.event_type for event in found] == ["session_start", "material_view", "session_end", "xp_earned"]
    assert [str(event.session_id) for event in found] == [session_id, "None", session_id, session_id]


async def test_ingest_counts_what_there_was_no_room_for(url: str) -> None:
    counted = metrics.SDK_DROPPED.labels("tests")
    before = counted._value.get()
    tracker = SyncAnalyticsTracker(url, write_key=WRITE_KEY, max_queue=3, flush_interval=3_600)
    for _ in range(10):
        tracker.track_xp_earned(user_id="anna", xp_amount=1)
    dropped = tracker.stats().dropped
    assert dropped == 7
    assert await asyncio.to_thread(tracker.shutdown, 10)
    assert counted._value.get() - before == dropped


async def test_what_only_ingest_can_judge_is_told(url: str) -> None:
    told: list[AnalyticsError] = []
    client = Client(url, write_key=WRITE_KEY, on_error=told.append)
    event_id = client.track("xp_earned", user_id="u", properties={"xp_amount": 1}, timestamp="2001-01-01T00:00:00Z")
    assert await asyncio.to_thread(client.shutdown, 10)
    [rejected] = told
    assert isinstance(rejected, EventRejected)
    assert (rejected.event_id, rejected.code) == (event_id, "timestamp_too_old")


async def test_a_key_that_is_not_known_keeps_the_events(url: str, redis: Redis) -> None:
    client = Client(url, write_key="unknown")
    client.track("xp_earned", user_id="u", properties={"xp_amount": 1})
    assert not await asyncio.to_thread(client.flush, 0.2)
    assert client.stats().pending == 1
    client.shutdown(0)


async def test_ten_thousand_events_while_ingest_is_killed_and_comes_back(settings: Settings, redis: Redis) -> None:
    port = ports.any_free()
    environment = {"ANALYTICS_INGEST_PORT": str(port)}
    ingest = await Doomed.start("ingest", settings, environment)
    client = Client(f"http://{ports.LOOPBACK}:{port}", write_key=WRITE_KEY, first_retry=0.05, longest_retry=0.2)
    try:
        ids = [client.track("xp_earned", user_id=1 + n % 7, properties={"xp_amount": n % 10}) for n in range(EVENTS)]
        await eventually(lambda: client.stats().accepted > EVENTS // 10)
        ingest.kill()
        await ingest.end()
        assert client.stats().pending
        await eventually(lambda: client.stats().retried)
        ingest = await Doomed.start("ingest", settings, environment)
        assert await asyncio.to_thread(client.shutdown, 40)
        await ingest.stop()
    finally:
        ingest.kill()
    assert client.stats().accepted == EVENTS
    # A request without an answer was sent again: its events may be in the stream twice, under the same ids
    assert {str(event.event_id) for event in await stored(redis)} == set(ids)


async def test_https_needs_a_certificate_that_is_trusted(settings: Settings, redis: Redis, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert(ports.LOOPBACK)
    certificate, key, ca = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    app = create_app(settings, redis, asyncio.Event())
    async with served(app, certificate=str(certificate), key=str(key)) as place:
        for ca_file, is_sent in ((None, False), (str(ca), True)):
            client = Client(f"https://{place}", write_key=WRITE_KEY, ca_file=ca_file)
            client.track("xp_earned", user_id="u", properties={"xp_amount": 1})
            assert await asyncio.to_thread(client.flush, 10 if is_sent else 0.2) == is_sent
            client.shutdown(0)
    assert len(await stored(redis)) == 1
