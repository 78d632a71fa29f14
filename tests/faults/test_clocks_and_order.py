"""Late events, wrong clocks, any order and any TimeZone setting give the same answers."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from cli.demo.learners import DEMO_USER
from dashboard.server import open_services
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.entry import encode, pack
from storage.answers import summary
from storage.batches.batch import ReceivedEvent
from storage.batches.rollups import ROLLUPS
from storage.batches.writer import BatchWriter
from stream.diagnosis import diagnose
from stream.entries.trimmer import trim
from stream.keys import stream_key
from stream.server.connection import Redis
from tests.support.checker import assert_nothing_lost
from tests.support.entries import append_events, stream_entries
from tests.support.events import event
from tests.support.fleet import running
from tests.support.reading import OF_LEARNERS, READER, SYSTEM, answer, client_of
from tests.support.traffic import demo_traffic

EVENTS = 600
LEARNERS = range(1, 21)
EVERYTHING = ", ".join(rollup.table for rollup in ROLLUPS)

ZONES = ("Asia/Kolkata", "Pacific/Chatham", "America/St_Johns", "Pacific/Kiritimati", "Pacific/Pago_Pago")
"""Offsets of half and quarter hours, both extremes, daylight saving time on both hemispheres."""


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A time zone, which is also set for this process."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


async def test_any_order_in_any_zone_gives_the_same_answers(
    settings: Settings, database: asyncpg.Connection, zone: str
) -> None:
    events = demo_traffic(EVENTS)
    assert max(one.received_at - one.occurred_at for one in events) > timedelta(days=2)

    await store(settings, "UTC", [sorted(events, key=lambda one: one.occurred_at)])
    in_order = await every_answer(settings)
    await database.execute(f"TRUNCATE analytics_events, settled_entries, batch_books, {EVERYTHING}")

    rng = random.Random(zone)
    shuffled = rng.sample(events, len(events)) + rng.sample(events, len(events) // 4)
    await database.execute(f"ALTER DATABASE {settings.database_dsn.rpartition('/')[2]} SET timezone = '{zone}'")
    await store(settings, zone, cut(shuffled, rng))
    assert await every_answer(settings) == in_order


async def store(settings: Settings, zone: str, batches: Sequence[Sequence[AcceptedEvent]]) -> None:
    async with asyncpg.create_pool(
        settings.database_dsn, min_size=1, max_size=2, server_settings={"timezone": zone}
    ) as pool:
        number = 0
        for slot, batch in enumerate(batches):
            received = [ReceivedEvent(f"{number + at}-0", pack(encode(one))) for at, one in enumerate(batch, 1)]
            number += len(batch)
            await BatchWriter(pool, slot).write(0, received, [])
        await summary.refresh(pool)


def cut(events: Sequence[AcceptedEvent], rng: random.Random) -> list[Sequence[AcceptedEvent]]:
    edges = sorted({0, len(events), *rng.sample(range(len(events)), 12)})
    return [events[start:end] for start, end in pairwise(edges)]


async def every_answer(settings: Settings) -> list[dict[str, Any]]:
    """Return the answers about every learner and the platform at one moment."""
    now = max(one.received_at for one in demo_traffic(EVENTS))
    async with (
        open_services(settings) as services,
        client_of(dataclasses.replace(services, clock=lambda: now)) as client,
    ):
        answers = [await answer(client, SYSTEM, READER, hours=168)]
        for learner in LEARNERS:
            answers += [await answer(client, path, READER, user_id=f"{DEMO_USER}{learner}") for path in OF_LEARNERS]
    async with asyncpg.create_pool(settings.database_dsn, min_size=1, max_size=1) as pool:
        hours = [dict(row) for row in await pool.fetch("SELECT * FROM hourly_analytics_summary ORDER BY 1, 2")]
    for one in answers:
        # freshness depends on Redis, not on the order of events
        del one["meta"]
    assert any(one.get("total_sessions") for one in answers)
    return answers + hours


async def test_a_redis_whose_clock_was_ahead_keeps_everything_and_the_doctor_says_so(
    settings: Settings, redis: Redis
) -> None:
    ahead = datetime.now(UTC) + timedelta(days=2)
    events = [event("xp_earned", {"xp_amount": 1}, number=number) for number in range(50)]
    sent = {one.event_id for one in events}
    await append_events(redis, events[:25])
    # as if the clock had been two days ahead: later ids are not lower
    first: Any = (await stream_entries(redis))[0][1]
    await redis.xadd(stream_key(0), first, id=f"{int(ahead.timestamp() * 1000)}-0")
    await append_events(redis, events[25:])
    assert (await trim(redis, 0, settings.event_retention, 10**9)).removed == 0

    async with running(settings, ["worker", "maintenance"]):
        await assert_nothing_lost(settings, accepted=sent, sent=sent, parked=0)
    assert (await trim(redis, 0, settings.event_retention, 10**9)).removed == 0
    found = await diagnose(redis, 1, datetime.now(UTC), settings.claim_idle_seconds, settings.durability)
    assert [one.status for one in found if one.name == "stream.0.clock"] == ["fail"]
