"""A batch is stored completely and once, and aggregates do not depend on the order of events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runtime.errors import EventRejected, StorageUnavailable
from schemas.accepted import AcceptedEvent
from schemas.entry import encode, pack
from schemas.identifiers import canonical_event_id
from storage.answers import summary
from storage.batches import rebuild, verify
from storage.batches.batch import BatchCounts, DeadLetter, ReceivedEvent
from storage.batches.rollups import ROLLUPS
from storage.batches.staged_batch import COLUMNS
from storage.batches.writer import BatchWriter
from storage.database.pool import Connection, open_pool
from storage.retention import partitions
from storage.retention import removal as retention
from storage.retention.partition_weeks import GRACE
from tests.support.events import NOW, accepted_events, event, learner, uuid7
from tests.support.waiting import eventually

MONTH = timedelta(days=30)
QUARTER = timedelta(days=90)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(database_url, size=4, application_name="tests")
    yield pool
    await pool.close()


def received(events: Sequence[AcceptedEvent], first: int = 1) -> list[ReceivedEvent]:
    return [ReceivedEvent(f"{number}-0", pack(encode(one))) for number, one in enumerate(events, first)]


async def drift(pool: asyncpg.Pool) -> list[verify.TableDrift]:
    async with pool.acquire() as connection:
        found = await verify.verify_aggregates(connection, NOW, MONTH)
    return [table for table in found if not table.is_clean]


async def contents(pool: asyncpg.Pool) -> dict[str, list[asyncpg.Record]]:
    """Return every aggregate, merged over slots, and the stored ids."""
    tables = {
        rollup.table: await pool.fetch(f"{rollup.merged(rollup.table)} ORDER BY {', '.join(rollup.key)}")
        for rollup in ROLLUPS
    }
    return tables | {"analytics_events": await pool.fetch("SELECT event_id FROM analytics_events ORDER BY event_id")}


async def empty(pool: asyncpg.Pool) -> None:
    tables = ", ".join(rollup.table for rollup in ROLLUPS)
    await pool.execute(f"TRUNCATE analytics_events, dead_letters, settled_entries, batch_books, erased_users, {tables}")


async def test_new_duplicate_and_redelivered_entries_are_counted_separately(pool: asyncpg.Pool) -> None:
    writer = BatchWriter(pool, 0)
    one, two = event("session_start", number=1), event("xp_earned", {"xp_amount": 5}, number=2)

    assert await writer.write(0, received([one, two]), []) == BatchCounts(2, 0, 0, 0, 0)
    assert await writer.write(0, received([one, two]), []) == BatchCounts(0, 0, 0, 0, 2)
    assert await writer.write(0, received([one, two], first=10), []) == BatchCounts(0, 2, 0, 0, 0)
    assert await writer.write(0, received([one, two], first=10), []) == BatchCounts(0, 0, 0, 0, 2)
    assert await writer.write(0, received([one, one], first=20), []) == BatchCounts(0, 2, 0, 0, 0)
    assert await pool.fetchval("SELECT total_xp FROM gamification_stats") == 5
    async with pool.acquire() as connection:
        assert await verify.read_books(connection) == {0: verify.Books(2, 4, 0, 0)}


async def test_a_duplicate_inside_a_batch_counts_once(pool: asyncpg.Pool) -> None:
    one = event("xp_earned", {"xp_amount": 5})
    assert await BatchWriter(pool, 0).write(0, received([one, one, one]), []) == BatchCounts(1, 2, 0, 0, 0)
    assert await pool.fetchval("SELECT total_xp FROM gamification_stats") == 5


async def test_repeated_events_are_looked_up_and_stored_ones_are_not_read(pool: asyncpg.Pool) -> None:
    events = [event("session_start", number=number) for number in range(500)]
    await BatchWriter(pool, 0).write(0, received(events), [])
    before = await full_reads(pool)
    counts = await BatchWriter(pool, 0).write(
        0, received([*events[:10], event("session_start", number=500)], first=900), []
    )
    assert counts == BatchCounts(1, 10, 0, 0, 0)
    assert await full_reads(pool) == before


async def test_a_plan_made_while_a_partition_was_known_to_be_empty_does_not_read_it_later(pool: asyncpg.Pool) -> None:
    await pool.execute("VACUUM ANALYZE analytics_events")
    writer = BatchWriter(pool, 0)
    one = event("session_start")
    await writer.write(0, received([one, one]), [])
    before = await full_reads(pool)
    assert await writer.write(0, received([one], first=900), []) == BatchCounts(0, 1, 0, 0, 0)
    assert await full_reads(pool) == before


async def test_what_comes_from_the_erased_is_looked_up_and_stored_events_are_not_read(pool: asyncpg.Pool) -> None:
    await pool.execute("INSERT INTO erased_users (user_hash) VALUES ($1)", learner(1))
    writer = BatchWriter(pool, 0)
    await writer.write(0, received([event("session_start", number=number) for number in range(500)]), [])
    before = await full_reads(pool)
    gone = [event("session_start", number=number, user_hash=learner(1)) for number in range(500, 510)]
    assert await writer.write(0, received(gone, first=900), []) == BatchCounts(0, 0, 10, 0, 0)
    assert await full_reads(pool) == before


async def full_reads(pool: asyncpg.Pool) -> int:
    """Return the number of sequential scans of the event partitions."""
    async with pool.acquire() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    async with pool.acquire() as connection:
        reads: int = await connection.fetchval(
            "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname LIKE 'analytics\\_events\\_%'"
        )
    return reads


async def test_of_unequal_duplicates_in_a_batch_the_first_in_the_stream_is_stored(pool: asyncpg.Pool) -> None:
    events = [event("xp_earned", {"xp_amount": amount}) for amount in range(12)]
    counts = await BatchWriter(pool, 0).write(0, received(events, first=9), [])
    assert (counts.stored, counts.duplicate) == (1, 11)
    assert await pool.fetchval("SELECT (properties->>'xp_amount')::int FROM analytics_events") == 0


async def test_the_same_event_in_two_partitions_of_the_stream_counts_once(pool: asyncpg.Pool) -> None:
    one = event("xp_earned", {"xp_amount": 5})
    assert (await BatchWriter(pool, 0).write(0, received([one]), [])).stored == 1
    assert (await BatchWriter(pool, 0).write(1, received([one]), [])).duplicate == 1


async def test_ids_of_any_kind_have_a_partition(pool: asyncpg.Pool) -> None:
    ids = [canonical_event_id("order-1", "tests"), uuid7(NOW - QUARTER, 1), uuid7(NOW + timedelta(minutes=10), 2)]
    events = [event("session_start", number=n, event_id=key) for n, key in enumerate(ids)]
    assert (await BatchWriter(pool, 0).write(0, received(events), [])).stored == 3


async def test_an_erased_learner_stays_away(pool: asyncpg.Pool) -> None:
    await pool.execute("INSERT INTO erased_users (user_hash) VALUES ($1)", learner(1))
    events = [event("session_start", number=1), event("session_start", number=2, user_hash=learner(1))]
    writer = BatchWriter(pool, 0)
    assert await writer.write(0, received(events), []) == BatchCounts(1, 0, 1, 0, 0)
    assert await writer.write(0, received(events), []) == BatchCounts(0, 0, 0, 0, 2)
    assert await pool.fetchval("SELECT count(*) FROM analytics_events") == 1
    assert await pool.fetchval("SELECT count(*) FROM daily_activity_summary") == 1


async def test_what_was_stored_before_its_learner_was_erased_is_booked_once(pool: asyncpg.Pool) -> None:
    one = event("session_start", user_hash=learner(1))
    writer = BatchWriter(pool, 0)
    assert await writer.write(0, received([one]), []) == BatchCounts(1, 0, 0, 0, 0)
    await pool.execute("INSERT INTO erased_users (user_hash) VALUES ($1)", learner(1))
    assert await writer.write(0, received([one]), []) == BatchCounts(0, 0, 0, 0, 1)
    assert await writer.write(0, received([one], first=2), []) == BatchCounts(0, 0, 1, 0, 0)
    assert await writer.write(1, received([one]), []) == BatchCounts(0, 0, 1, 0, 0)


async def test_dead_letters_are_kept_once_with_their_reason(pool: asyncpg.Pool) -> None:
    letter = DeadLetter("7-0", "invalid_text", "a field is not UTF-8", '{"a": "\\u0000"}')
    writer = BatchWriter(pool, 0)
    assert (await writer.write(0, [], [letter])).dead_lettered == 1
    assert (await writer.write(0, [], [letter])) == BatchCounts(0, 0, 0, 0, 1)
    row = await pool.fetchrow("SELECT entry_id, reason, detail, payload FROM dead_letters")
    assert row is not None
    assert tuple(row) == ("7-0", *letter[1:4])


@pytest.mark.parametrize(
    "poison",
    [
        event("xp_earned", number=9, properties='{"xp_amount": "many"}'),
        event("xp_earned", number=9, properties='{"xp_amount": 99999999999999999999}'),
        event("session_start", number=9, properties="{"),
        event("session_start", number=9, properties='{"a": "\\u0000"}'),
        event("session_start", number=9, source="a\x00b"),
        event("session_start", number=9, source="\ud800"),
        event("session_start", number=9, schema_version=99_999),
        event("api_request", {"duration_ms": 1}, number=9),
        event("session_start", number=9, properties="[1]"),
    ],
)
async def test_poison_is_refused_and_nothing_of_its_batch_is_stored(pool: asyncpg.Pool, poison: AcceptedEvent) -> None:
    with pytest.raises(EventRejected):
        await BatchWriter(pool, 0).write(0, received([event("session_start", number=1), poison]), [])
    assert await pool.fetchval("SELECT count(*) FROM analytics_events") == 0
    assert await pool.fetchval("SELECT count(*) FROM batch_books") == 0


async def test_a_missing_partition_makes_storage_unavailable(pool: asyncpg.Pool) -> None:
    far = NOW + timedelta(weeks=20)
    early = event("session_start", event_id=uuid7(far, 1))
    writer = BatchWriter(pool, 0)
    with pytest.raises(StorageUnavailable, match="missing_partition"):
        await writer.write(0, received([early]), [])
    assert await partitions.ensure_partitions(pool, far, QUARTER) > 0
    assert (await writer.write(0, received([early]), [])).stored == 1


async def test_an_unreachable_server_makes_storage_unavailable(database_url: str) -> None:
    pool = await open_pool(database_url, size=1, application_name="tests")
    await pool.close()
    with pytest.raises(StorageUnavailable):
        await BatchWriter(pool, 0).write(0, received([event("session_start")]), [])


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(events=st.lists(accepted_events(), max_size=40), order=st.randoms(use_true_random=False))
async def test_any_order_any_cut_and_any_repetition_give_the_same_tables(
    pool: asyncpg.Pool, events: list[AcceptedEvent], order: random.Random
) -> None:
    # one content per id: of two different events with the same id, the first is stored
    entries = received(list({one.event_id: one for one in events}.values()))
    await empty(pool)
    await BatchWriter(pool, 0).write(0, entries, [])
    expected = await contents(pool)
    assert await drift(pool) == []

    await empty(pool)
    again = entries + entries[: len(entries) // 2]
    order.shuffle(again)
    while again:
        size = order.randint(1, 10)
        await BatchWriter(pool, order.randrange(8)).write(0, again[:size], [])
        again = again[size:]

    assert await contents(pool) == expected
    assert await drift(pool) == []


async def test_many_writers_on_the_same_learners_neither_deadlock_nor_lose(pool: asyncpg.Pool) -> None:
    events = received([event("xp_earned", {"xp_amount": 1}, number=n, user_hash=learner(n % 20)) for n in range(2_000)])
    batches = [events[start : start + 100] for start in range(0, 2_000, 100)]
    for batch in batches:
        random.Random(1).shuffle(batch)
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = await pool.fetchval(deadlocks)
    await asyncio.gather(*(BatchWriter(pool, n).write(0, batch, []) for n, batch in enumerate(batches)))
    assert await pool.fetchval(deadlocks) == before
    assert await pool.fetchval("SELECT sum(total_xp) FROM gamification_stats") == 2_000
    assert await drift(pool) == []


async def test_batches_with_the_same_events_in_opposite_orders_do_not_deadlock(pool: asyncpg.Pool) -> None:
    low, middle, high = (event("session_start", number=number) for number in range(3))
    async with pool.acquire() as connection:
        gate = connection.transaction()
        await gate.start()
        await connection.copy_records_to_table("analytics_events", records=[(*middle, 0, "1-0")], columns=COLUMNS)
        # in stream order, each writer would now have inserted an event that the other one needs
        writers = [
            asyncio.create_task(BatchWriter(pool, slot).write(slot, received(events), []))
            for slot, events in enumerate([[low, middle, high], [high, middle, low]])
        ]
        await eventually(lambda: _waiting_for_a_transaction(connection, 2))
        await gate.rollback()
    counts = await asyncio.gather(*writers)
    assert sorted(one.stored for one in counts) == [0, 3]


async def _waiting_for_a_transaction(connection: Connection, sessions: int) -> bool:
    waiting = await connection.fetchval(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"
    )
    return bool(waiting == sessions)


async def test_verify_detects_every_kind_of_drift_and_rebuild_corrects_it(pool: asyncpg.Pool) -> None:
    events = [
        event("session_start", number=1, session_id=UUID(int=1)),
        event("xp_earned", {"xp_amount": 5}, number=2),
        event("api_request", {"endpoint": "/", "status_code": 500, "duration_ms": 3}, number=3),
    ]
    await BatchWriter(pool, 3).write(0, received(events), [])
    expected = await contents(pool)
    assert await drift(pool) == []

    await pool.execute("UPDATE gamification_stats SET total_xp = total_xp + 1")
    await pool.execute("DELETE FROM learning_sessions")
    await pool.execute("INSERT INTO system_metrics SELECT now(), '/x', 1, 0, 1, 0, 0")
    found = {table.table: (table.missing, table.unexpected) for table in await drift(pool)}
    assert found == {"gamification_stats": (1, 1), "learning_sessions": (1, 0), "system_metrics": (0, 1)}

    async with pool.acquire() as connection:
        await rebuild.rebuild_aggregates(connection, NOW, MONTH)
    assert await drift(pool) == []
    assert await contents(pool) == expected


async def test_rebuild_waits_for_the_batch_that_is_being_written(pool: asyncpg.Pool) -> None:
    await BatchWriter(pool, 0).write(0, received([event("xp_earned", {"xp_amount": 5}, number=1)]), [])
    await pool.execute("UPDATE gamification_stats SET total_xp = 0")
    async with pool.acquire() as rebuilder:
        mending = asyncio.create_task(rebuild.rebuild_aggregates(rebuilder, NOW, MONTH))
        await BatchWriter(pool, 0).write(0, received([event("xp_earned", {"xp_amount": 7}, number=2)], first=5), [])
        await mending
    assert await pool.fetchval("SELECT total_xp FROM gamification_stats") == 12
    assert await drift(pool) == []


async def test_retention_drops_raw_events_and_keeps_their_aggregates(pool: asyncpg.Pool) -> None:
    old = [event("xp_earned", {"xp_amount": n}, number=n, occurred_at=NOW - timedelta(days=n)) for n in range(30)]
    mapped = event("xp_earned", {"xp_amount": 100}, event_id=canonical_event_id("order-1", "tests"))
    await BatchWriter(pool, 0).write(0, received([*old, mapped]), [])
    expected = await contents(pool)

    later = NOW + QUARTER + GRACE + timedelta(days=7)
    await partitions.ensure_partitions(pool, later, QUARTER)
    gone = await retention.drop_expired(pool, later, QUARTER)

    left = await pool.fetchval("SELECT count(*) FROM analytics_events")
    assert gone == 31 - left >= 24
    assert await pool.fetchval("SELECT count(*) FROM analytics_events_reserved") == 0
    assert await contents(pool) | {"analytics_events": []} == expected | {"analytics_events": []}
    assert await drift(pool) == []

    await pool.execute("UPDATE gamification_stats SET total_xp = 0")
    async with pool.acquire() as connection:
        await rebuild.rebuild_aggregates(connection, NOW, MONTH)
    assert await pool.fetchval("SELECT total_xp FROM gamification_stats") == sum(range(30)) + 100


async def test_retention_keeps_what_may_still_be_waiting_in_the_stream(pool: asyncpg.Pool) -> None:
    await BatchWriter(pool, 0).write(0, received([event("session_start", occurred_at=NOW - QUARTER)]), [])
    assert await retention.drop_expired(pool, NOW, QUARTER) == 0


async def test_api_health_is_forgotten_and_verify_does_not_miss_it(pool: asyncpg.Pool) -> None:
    ages = [0, 29, 31, 60]
    events = [
        event(
            "api_request",
            {"endpoint": "/", "status_code": 200, "duration_ms": 3},
            number=n,
            occurred_at=NOW - timedelta(days=age),
        )
        for n, age in enumerate(ages)
    ]
    await BatchWriter(pool, 0).write(0, received(events), [])
    await retention.prune_system_metrics(pool, NOW, MONTH)
    assert await pool.fetchval("SELECT sum(requests) FROM system_metrics") == 2
    assert await drift(pool) == []


async def test_settled_entries_are_forgotten_when_the_stream_cannot_bring_them_back(pool: asyncpg.Pool) -> None:
    one = event("session_start")
    await BatchWriter(pool, 0).write(0, received([one, one]), [])
    assert await retention.prune_ledger(pool, NOW, timedelta(days=7)) == 0
    assert await retention.prune_ledger(pool, NOW + timedelta(days=15), timedelta(days=7)) == 1


async def test_the_summary_shows_what_came_before_its_refresh(pool: asyncpg.Pool) -> None:
    events = [
        event("session_start", number=1),
        event("xp_earned", {"xp_amount": 5}, number=2, user_hash=learner(1)),
        event("api_request", {"endpoint": "/", "status_code": 200, "duration_ms": 3}, number=3, user_hash=None),
    ]
    await BatchWriter(pool, 0).write(0, received(events), [])
    assert await pool.fetchval("SELECT count(*) FROM hourly_analytics_summary") == 0
    await summary.refresh(pool)
    row = await pool.fetchrow("SELECT * FROM hourly_analytics_summary")
    assert row is not None
    assert (row["events"], row["learner_events"], row["sessions_started"]) == (3, 2, 1)
    assert (row["xp_earned"], row["api_requests"], row["active_users"]) == (5, 1, 2)
