"""SIGKILL at every failpoint of every process: accepted events are stored once or parked, and every number is right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest

from cli.local.embedded.ports import LOOPBACK, any_free
from processors.maintenance import process as maintenance
from processors.store import worker
from runtime.failpoints import Failpoint
from runtime.settings import Settings
from schemas.catalogue import EventType
from storage.batches.verify import verify_aggregates
from storage.retention.retirement import CHUNK
from stream.entries.consumer import Consumer
from stream.entries.cursor import read_cursor
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import Redis
from telemetry import metrics
from tests.support.access import WRITE_KEY
from tests.support.checker import assert_nothing_lost
from tests.support.doomed import Doomed, killed_at
from tests.support.entries import append_events
from tests.support.events import NOW, event, uuid7
from tests.support.live import all_published, history, publishing, timeline
from tests.support.traffic import append_with_poison, demo_traffic
from tests.support.waiting import eventually

EVENTS, BATCH = 300, 50

OF_WORKERS: dict[Failpoint, Sequence[int]] = {
    Failpoint.AFTER_READ: (1, 3),
    Failpoint.AFTER_CLAIM: (1,),
    Failpoint.AFTER_DECODE: (1, 3),
    Failpoint.AFTER_COPY: (1, 3),
    Failpoint.AFTER_STORE: (1, 3),
    Failpoint.AFTER_DEAD_LETTERS: (1, 3),
    Failpoint.BEFORE_COMMIT: (1, 3),
    Failpoint.AFTER_COMMIT: (1, 3),
    Failpoint.AFTER_ACK: (1, 3),
}
OF_INGEST: dict[Failpoint, Sequence[int]] = {Failpoint.BEFORE_APPEND: (1, 4), Failpoint.AFTER_APPEND: (1, 4)}
OF_LIVE_WORKERS: dict[Failpoint, Sequence[int]] = {Failpoint.AFTER_READ: (1, 3), Failpoint.AFTER_PUBLISH: (1, 3)}
OF_TRIMMING = (Failpoint.BEFORE_TRIM, Failpoint.AFTER_TRIM)
OF_RETENTION = (
    Failpoint.AFTER_HORIZON,
    Failpoint.AFTER_CHUNK,
    Failpoint.AFTER_RETIRE,
    Failpoint.AFTER_DETACH,
    Failpoint.BEFORE_REFRESH,
)


def cells(points: dict[Failpoint, Sequence[int]]) -> list[tuple[Failpoint, int]]:
    return [(point, hit) for point, hits in points.items() for hit in hits]


def test_every_failpoint_is_in_the_matrix() -> None:
    elsewhere = {Failpoint.AFTER_REDRIVE}  # tests/integration/cli/test_dlq.py
    assert {*OF_WORKERS, *OF_LIVE_WORKERS, *OF_INGEST, *OF_TRIMMING, *OF_RETENTION, *elsewhere} == set(Failpoint)


@asynccontextmanager
async def heirs(settings: Settings) -> AsyncIterator[None]:
    """Run two workers that claim the entries of a killed worker at once."""
    eager = settings.model_copy(update={"claim_idle_seconds": 0.001, "batch_size": BATCH})
    stop = asyncio.Event()
    tasks = [asyncio.create_task(worker.run(eager, stop)) for _ in range(2)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


@pytest.mark.parametrize(("point", "hit"), cells(OF_WORKERS))
async def test_a_killed_worker(settings: Settings, redis: Redis, point: Failpoint, hit: int) -> None:
    sent = await append_with_poison(redis, demo_traffic(EVENTS), every=BATCH - 1)
    if point is Failpoint.AFTER_CLAIM:
        deserter = Consumer(redis, 0, STORE_GROUP, "deserter", claim_idle_seconds=120)
        await deserter.join()
        assert await deserter.read(2 * BATCH, 1)
    await killed_at(point, hit, "worker", settings, ANALYTICS_BATCH_SIZE=str(BATCH), CLAIM_IDLE_SECONDS="0.001")

    async with heirs(settings):
        await assert_nothing_lost(settings, accepted=sent, sent=sent)


@pytest.mark.parametrize(("point", "hit"), cells(OF_LIVE_WORKERS))
async def test_a_killed_live_worker(settings: Settings, redis: Redis, point: Failpoint, hit: int) -> None:
    traffic = demo_traffic(EVENTS)
    dying = asyncio.create_task(killed_at(point, hit, "live", settings))
    for at in range(0, EVENTS, BATCH):
        await append_events(redis, traffic[at : at + BATCH])
        appended = at + BATCH

        async def is_done(count: int = appended) -> bool:
            return dying.done() or await is_published(redis, count)

        # so that the entries need more than one batch
        await eventually(is_done)
    await dying

    async with publishing(settings), publishing(settings):
        await all_published(redis, EVENTS)
    kept = await timeline(redis)
    assert sorted(one.event_id for one in kept) == sorted({one.event_id for one in traffic})
    assert sorted(one.id for one in kept) == [one.id for one in kept]
    of_types = [await history(redis, event_type) for event_type in EventType]
    assert sorted(one.id for ones in of_types for one in ones) == [one.id for one in kept]


async def is_published(redis: Redis, count: int) -> bool:
    cursor = await read_cursor(redis, 0)
    return cursor is not None and cursor.read == count


@pytest.mark.parametrize(("point", "hit"), cells(OF_INGEST))
async def test_a_killed_ingest(settings: Settings, redis: Redis, point: Failpoint, hit: int) -> None:
    port = any_free()
    environment = {"ANALYTICS_INGEST_PORT": str(port)}
    url = f"http://{LOOPBACK}:{port}/api/analytics/events/batch"
    batches = [[sent_event(10 * batch + number) for number in range(10)] for batch in range(6)]
    dying = asyncio.create_task(killed_at(point, hit, "ingest", settings, **environment))
    heir: Doomed | None = None

    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {WRITE_KEY}"}) as client, heirs(settings):
        for batch in batches:

            async def is_accepted(events: object = batch) -> bool:
                nonlocal heir
                if dying.done() and heir is None:
                    heir = await Doomed.start("ingest", settings, environment)
                try:
                    reply = await client.post(url, json=events)
                except httpx.TransportError:
                    return False
                return reply.status_code == 202

            await eventually(is_accepted)
        await dying
        assert heir is not None
        sent = {str(one["event_id"]) for batch in batches for one in batch}
        await assert_nothing_lost(settings, accepted=sent, sent=sent)
    assert await heir.stop() == 0


def sent_event(number: int) -> dict[str, object]:
    return {
        "event_id": str(uuid7(datetime.now(UTC), number)),
        "event_type": "xp_earned",
        "user_id": f"learner-{number % 3}",
        "properties": {"xp_amount": number},
    }


@pytest.mark.parametrize("point", OF_TRIMMING)
async def test_a_killed_trimmer(settings: Settings, redis: Redis, point: Failpoint) -> None:
    events = [event("xp_earned", {"xp_amount": 1}, number=number) for number in range(6000)]
    stored, waiting = events[:4000], events[4000:]
    sent = {one.event_id for one in events}
    await append_events(redis, stored)
    async with heirs(settings):
        await assert_nothing_lost(settings, accepted={one.event_id for one in stored}, sent=sent)
    await append_events(redis, waiting)

    budget = 1024**2
    await killed_at(point, 1, "maintenance", settings, ANALYTICS_STREAM_MAX_BYTES=str(budget))
    async with maintained(settings.model_copy(update={"stream_max_bytes": budget}), "trim_streams"):
        assert await redis.xlen(stream_key(0)) < len(events)
    async with heirs(settings):
        await assert_nothing_lost(settings, accepted=sent, sent=sent)


@pytest.mark.parametrize("point", OF_RETENTION)
async def test_a_killed_retention(
    settings: Settings, redis: Redis, database: asyncpg.Connection, point: Failpoint
) -> None:
    old = NOW - timedelta(days=60)
    # more than one chunk, where it matters
    retired = CHUNK + 30 if point is Failpoint.AFTER_CHUNK else 30
    events = [
        *(event("xp_earned", {"xp_amount": 1}, number=number, occurred_at=old) for number in range(retired)),
        *(event("xp_earned", {"xp_amount": 1}, number=number) for number in range(12)),
    ]
    sent = {one.event_id for one in events}
    await append_events(redis, events)
    async with heirs(settings):
        await assert_nothing_lost(settings, accepted=sent, sent=sent)

    await killed_at(point, 1, "maintenance", settings, ANALYTICS_RAW_RETENTION_DAYS="30")
    async with maintained(settings.model_copy(update={"raw_retention_days": 30}), "drop_expired", "refresh_summary"):
        pass
    assert await database.fetchval("SELECT count(*) FROM analytics_events") == 12
    assert await database.fetchval("SELECT total_xp FROM gamification_stats") == retired + 12
    assert await database.fetchval("SELECT sum(xp_earned)::int FROM hourly_analytics_summary") == 12
    drift = await verify_aggregates(database, datetime.now(UTC), settings.system_metrics_retention)
    assert [table for table in drift if not table.is_clean] == []


@asynccontextmanager
async def maintained(settings: Settings, *duties: str) -> AsyncIterator[None]:
    """Run maintenance until each of the chores has run once."""
    before = {name: metrics.CHORE_RUNS.labels(name, "ok")._value.get() for name in duties}
    stop = asyncio.Event()
    running = asyncio.create_task(maintenance.run(settings, stop))
    await eventually(
        lambda: all(metrics.CHORE_RUNS.labels(name, "ok")._value.get() > count for name, count in before.items())
    )
    yield
    stop.set()
    await running
