"""The database counts what the catalogue declares for each event type."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import asyncpg
import pytest

from schemas.catalogue import CATALOGUE, COUNTERS, LEARNER_EVENTS, EventKind
from schemas.entry import encode, pack
from storage.answers.aggregates import Answers, LearnerRecord
from storage.answers.summary import refresh
from storage.batches.batch import ReceivedEvent
from storage.batches.rollups import ROLLUPS
from storage.batches.verify import verify_aggregates
from storage.batches.writer import BatchWriter
from storage.database.pool import open_pool
from tests.support.events import COMPLETE, NOW, event, learner


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(database_url, size=2, application_name="tests")
    yield pool
    await pool.close()


async def store(pool: asyncpg.Pool, event_types: Sequence[str]) -> None:
    events = [event(name, COMPLETE[name], number=number) for number, name in enumerate(event_types)]
    received = [ReceivedEvent(f"{number}-0", pack(encode(one))) for number, one in enumerate(events, start=1)]
    assert (await BatchWriter(pool, slot=0).write(0, received, [])).stored == len(events)


async def stored_learner(pool: asyncpg.Pool) -> LearnerRecord:
    return await Answers(pool).learner([learner(0)], NOW.date(), 1, NOW, timedelta(minutes=30))


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
async def test_a_type_contributes_what_its_row_says(pool: asyncpg.Pool, kind: EventKind) -> None:
    await store(pool, [kind.name])
    record = await stored_learner(pool)

    assert record.counts == {counter: int(counter == kind.counter) for counter in COUNTERS}
    assert record.total_xp == (COMPLETE[kind.name][kind.xp] if kind.xp else 0)
    is_active = kind.name in LEARNER_EVENTS
    assert [day.activity_count for day in record.days] == ([1] if is_active else [])


async def test_the_hourly_summary_knows_the_types_of_the_catalogue(pool: asyncpg.Pool) -> None:
    await store(pool, list(CATALOGUE))
    await refresh(pool)
    [hour] = await pool.fetch("SELECT * FROM hourly_analytics_summary")

    assert hour["events"] == len(CATALOGUE)
    assert hour["learner_events"] == len(LEARNER_EVENTS)
    counted = {counter: hour[counter] for counter in COUNTERS if counter in hour}
    assert counted == {counter: len(COUNTERS[counter]) for counter in counted}
    assert len(counted) > 3
    assert hour["xp_earned"] == sum(COMPLETE[kind.name][kind.xp] for kind in CATALOGUE.values() if kind.xp)


async def test_a_table_is_touched_by_the_types_its_rollup_names_and_no_others(pool: asyncpg.Pool) -> None:
    for event_type in CATALOGUE:
        touched = [rollup.table for rollup in ROLLUPS if await rows_of(pool, rollup.over(single(event_type)))]
        assert touched == [rollup.table for rollup in ROLLUPS if event_type in rollup.event_types]


async def test_a_type_of_a_newer_release_counts_as_activity_when_it_is_recomputed(pool: asyncpg.Pool) -> None:
    await store(pool, ["session_end"])
    await pool.execute("UPDATE analytics_events SET event_type = 'note_written_later'")
    await pool.execute("UPDATE hourly_event_counts SET event_type = 'note_written_later'")

    async with pool.acquire() as connection:
        found = await verify_aggregates(connection, NOW, timedelta(days=30))
    assert [drift.table for drift in found if not drift.is_clean] == []


def single(event_type: str) -> str:
    """Return a relation with one event of the type, with a learner and a session."""
    facts = json.dumps(COMPLETE[event_type])
    return (
        f"(SELECT '{event_type}'::text AS event_type, gen_random_uuid() AS event_id, gen_random_uuid() AS session_id,"
        f" '\\x01'::bytea AS user_hash, now() AS occurred_at, current_date AS activity_date,"
        f" '{facts}'::jsonb AS properties)"
    )


async def rows_of(pool: asyncpg.Pool, query: str) -> int:
    found: int = await pool.fetchval(f"SELECT count(*) FROM ({query}) AS rows")
    return found
