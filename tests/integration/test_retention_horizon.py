"""Events that retention removed are never counted again, however they are delivered again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from processors.maintenance.chores import check_stream
from runtime.failpoints import Failpoint
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.entry import encode, pack
from schemas.identifiers import canonical_event_id
from storage.batches.batch import ReceivedEvent
from storage.batches.verify import read_books
from storage.batches.writer import BatchWriter
from storage.database.locks import BATCH_LOCK
from storage.database.pool import Pool
from storage.retention import partitions
from storage.retention import removal as retention
from storage.retention.partition_weeks import GRACE
from stream.server.connection import Redis
from tests.support.checker import assert_nothing_lost
from tests.support.doomed import killed_at
from tests.support.entries import append_events
from tests.support.events import NOW, event
from tests.support.terminal import Operator
from tests.support.waiting import eventually
from tests.support.working import working

OLD = NOW - timedelta(days=60)
MONTH = timedelta(days=30)
"""A raw retention that, with the grace time of partitions, is below the age of the old events."""
QUARTER = timedelta(days=90)
LETTERS = "SELECT reason FROM dead_letters ORDER BY entry_id"


@pytest.fixture
def operator(settings: Settings, tmp_path: Path) -> Operator:
    return Operator(settings, tmp_path)


async def replayed(operator: Operator, **environment: str) -> dict[str, Any]:
    """Replay all entries; return their counts."""
    ended = await operator.run("replay", "--from", "1h", "--json", **environment)
    assert ended.code == 0, ended.err
    document: dict[str, Any] = ended.document()
    return document


def xp(number: int, **changes: Any) -> AcceptedEvent:
    return event("xp_earned", {"xp_amount": 10}, number=number, **{"occurred_at": OLD, "received_at": OLD} | changes)


ORDERED = [xp(number) for number in range(10)]
MAPPED = [xp(number, event_id=canonical_event_id(f"order-{number}", "tests")) for number in range(10)]
OTHERS = [xp(number) for number in range(100, 110)]
EARLIER = [xp(number, occurred_at=OLD - timedelta(days=7)) for number in range(5)]
KNOWN = {one.event_id for one in [*ORDERED, *MAPPED, *OTHERS, *EARLIER]}


async def stored(settings: Settings, redis: Redis, events: Sequence[AcceptedEvent]) -> None:
    """Run a worker until the events are settled; check every number and the books."""
    await append_events(redis, events)
    await settled(settings, redis)


async def settled(settings: Settings, redis: Redis) -> None:
    async with working(settings):
        await assert_nothing_lost(settings, accepted=[], sent=KNOWN)


async def removed(pool: Pool, redis: Redis, raw_retention: timedelta = MONTH) -> int:
    await check_stream(redis, pool, 0)
    return await retention.drop_expired(pool, datetime.now(UTC), raw_retention)


async def drop_weeks_before_old(pool: Pool) -> None:
    """Make the partition of the old events the first to expire."""
    await retention.drop_expired(pool, OLD + MONTH + GRACE, MONTH)


async def total_xp(pool: Pool) -> int | None:
    total: int | None = await pool.fetchval("SELECT total_xp FROM gamification_stats")
    return total


async def books(pool: Pool) -> tuple[int, ...]:
    async with pool.acquire() as connection:
        found = (await read_books(connection))[0]
    return found.stored, found.duplicate, found.suppressed, found.dead_lettered


@pytest.mark.parametrize("events", [ORDERED, MAPPED], ids=["ordered", "mapped"])
async def test_a_replay_of_what_was_removed_counts_nothing_twice(
    settings: Settings, redis: Redis, pool: Pool, operator: Operator, events: list[AcceptedEvent]
) -> None:
    await stored(settings, redis, events)
    assert await removed(pool, redis) == 10
    await partitions.ensure_partitions(pool, datetime.now(UTC), QUARTER)

    said = await replayed(operator)
    assert (said["entries"], said["redelivered"]) == (10, 10)
    assert (await total_xp(pool), await books(pool)) == (100, (10, 0, 0, 0))
    await settled(settings, redis)


async def test_a_repeat_of_what_was_removed_is_parked_after_the_retention_was_raised(
    settings: Settings, redis: Redis, pool: Pool
) -> None:
    await stored(settings, redis, ORDERED)
    assert await removed(pool, redis) == 10
    await partitions.ensure_partitions(pool, datetime.now(UTC), QUARTER)

    await stored(settings, redis, [one._replace(received_at=NOW) for one in ORDERED])
    assert (await total_xp(pool), await books(pool)) == (100, (10, 0, 0, 10))
    assert {row["reason"] for row in await pool.fetch(LETTERS)} == {"before_retention_horizon"}


async def test_a_repeat_with_a_mapped_id_is_a_duplicate_whatever_time_it_states(
    settings: Settings, redis: Redis, pool: Pool
) -> None:
    await stored(settings, redis, MAPPED)
    assert await removed(pool, redis) == 10

    await stored(settings, redis, [one._replace(occurred_at=NOW, received_at=NOW) for one in MAPPED])
    assert (await total_xp(pool), await books(pool)) == (100, (10, 10, 0, 0))


async def test_what_occurred_before_mapped_ids_were_kept_is_parked_unless_it_is_stored(
    settings: Settings, redis: Redis, pool: Pool
) -> None:
    await stored(settings, redis, MAPPED[:5])
    await pool.execute("UPDATE retention_horizon SET mapped_before = $1", OLD + timedelta(seconds=1))
    await stored(settings, redis, [*MAPPED, *[one._replace(occurred_at=NOW) for one in MAPPED[5:7]]])
    assert (await total_xp(pool), await books(pool)) == (70, (7, 5, 0, 5))


async def test_the_horizon_outlives_any_change_of_the_retention(
    settings: Settings, redis: Redis, pool: Pool, operator: Operator
) -> None:
    await stored(settings, redis, ORDERED)
    for days, gone in [(90, 0), (30, 10), (90, 0), (60, 0), (90, 0)]:
        assert await removed(pool, redis, timedelta(days=days)) == gone
        await partitions.ensure_partitions(pool, datetime.now(UTC), timedelta(days=days))
    await stored(settings, redis, ORDERED)
    await replayed(operator)
    assert (await total_xp(pool), await books(pool)) == (100, (10, 0, 0, 10))
    await settled(settings, redis)


@pytest.mark.parametrize("point", [Failpoint.AFTER_RETIRE, Failpoint.AFTER_DETACH])
async def test_a_retention_that_was_killed_lets_nothing_in_again(
    settings: Settings, redis: Redis, pool: Pool, operator: Operator, point: Failpoint
) -> None:
    await drop_weeks_before_old(pool)
    await stored(settings, redis, ORDERED)
    await check_stream(redis, pool, 0)
    await killed_at(point, 1, "maintenance", settings, ANALYTICS_RAW_RETENTION_DAYS="30")

    await stored(settings, redis, ORDERED)
    await replayed(operator)
    assert (await total_xp(pool), await books(pool)) == (100, (10, 0, 0, 10))
    assert await removed(pool, redis) == 0
    await settled(settings, redis)


async def test_new_events_before_the_horizon_are_parked_and_those_after_it_are_stored(
    settings: Settings, redis: Redis, pool: Pool, operator: Operator
) -> None:
    await stored(settings, redis, ORDERED)
    assert await removed(pool, redis) == 10
    await partitions.ensure_partitions(pool, datetime.now(UTC), QUARTER)

    late = xp(1, occurred_at=NOW - timedelta(days=31), received_at=NOW)
    await append_events(redis, [OTHERS[0], late])
    async with working(settings):
        await assert_nothing_lost(settings, accepted=[late.event_id], sent=[late.event_id], parked=1)
    assert await total_xp(pool) == 110

    again = await operator.run("dlq", "retry", "--all")
    assert again.code == 0, again.err
    async with working(settings):
        await assert_nothing_lost(settings, accepted=[late.event_id], sent=[late.event_id], parked=2)
    letters = await pool.fetch(
        "SELECT event_id, reason, retried_at IS NULL AS waits FROM dead_letters ORDER BY parked_at"
    )
    assert [tuple(letter) for letter in letters] == [
        (OTHERS[0].event_id, "before_retention_horizon", False),
        (OTHERS[0].event_id, "before_retention_horizon", True),
    ]


async def test_many_old_events_do_not_stop_the_worker(settings: Settings, redis: Redis, pool: Pool) -> None:
    await stored(settings, redis, ORDERED)
    assert await removed(pool, redis) == 10
    await append_events(redis, [xp(number) for number in range(1_000, 1_300)])
    await append_events(redis, [xp(1, occurred_at=NOW, received_at=NOW)])
    async with working(settings):
        await eventually(lambda: pool.fetchval("SELECT total_xp = 110 FROM gamification_stats"))
    assert await books(pool) == (11, 0, 0, 300)


async def test_a_batch_that_waits_for_the_retention_sees_where_it_has_moved_the_horizon(
    settings: Settings, redis: Redis, pool: Pool
) -> None:
    await drop_weeks_before_old(pool)
    await stored(settings, redis, ORDERED)

    async def waiting(count: int) -> bool:
        found: int = await pool.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return found == count

    async with pool.acquire() as holder, holder.transaction():
        await holder.execute(f"SELECT pg_advisory_xact_lock_shared({BATCH_LOCK})")
        retiring = asyncio.create_task(removed(pool, redis))
        await eventually(lambda: waiting(1))
        await append_events(redis, OTHERS)
        storing = asyncio.create_task(settled(settings, redis))
        await eventually(lambda: waiting(2))
    assert await retiring == 10
    await storing
    assert (await total_xp(pool), await books(pool)) == (100, (10, 0, 0, 10))


async def test_maintenance_processes_at_the_same_time_retire_an_event_once(
    settings: Settings, redis: Redis, pool: Pool
) -> None:
    await stored(settings, redis, [*ORDERED, *MAPPED, *EARLIER])
    await check_stream(redis, pool, 0)
    now = datetime.now(UTC)
    gone = await asyncio.gather(*(retention.drop_expired(pool, now, MONTH) for _ in range(3)))
    assert sum(gone) + await retention.drop_expired(pool, now, MONTH) == 25
    assert await pool.fetchval("SELECT sum(events)::int FROM retired.hourly_event_counts") == 25
    await settled(settings, redis)


async def test_an_entry_that_was_parked_stays_parked_when_its_event_could_be_stored(
    settings: Settings, redis: Redis, pool: Pool, operator: Operator
) -> None:
    await append_events(redis, ORDERED)
    async with working(settings.model_copy(update={"raw_retention_days": 30, "dead_letter_max_ratio": 0})):
        await assert_nothing_lost(settings, accepted=[], sent=[], parked=10)
    said = await replayed(operator)
    assert (said["entries"], said["redelivered"]) == (10, 10)
    assert (await total_xp(pool), await books(pool)) == (None, (0, 0, 0, 10))


async def test_an_entry_whose_event_is_stored_is_not_parked_when_the_retention_was_lowered(
    settings: Settings, redis: Redis, pool: Pool, operator: Operator
) -> None:
    await stored(settings, redis, ORDERED)
    said = await replayed(operator, ANALYTICS_RAW_RETENTION_DAYS="30")
    assert (said["entries"], said["redelivered"]) == (10, 10)
    assert await books(pool) == (10, 0, 0, 0)


@pytest.mark.parametrize("way", ["dropped", "pruned"])
async def test_a_letter_that_has_gone_is_not_made_again_by_a_replay(
    settings: Settings, redis: Redis, pool: Pool, operator: Operator, way: str
) -> None:
    await append_events(redis, ORDERED)
    async with working(settings.model_copy(update={"raw_retention_days": 30, "dead_letter_max_ratio": 0})):
        await assert_nothing_lost(settings, accepted=[], sent=[], parked=10)
    await check_stream(redis, pool, 0)
    if way == "dropped":
        assert (await operator.run("dlq", "drop", "--all", "--yes")).code == 0
    else:
        assert await retention.prune_dead_letters(pool, datetime.now(UTC) + QUARTER, MONTH) == 10
    assert await pool.fetch(LETTERS) == []

    said = await replayed(operator)
    assert (said["entries"], said["redelivered"]) == (10, 10)
    assert (await total_xp(pool), await books(pool)) == (None, (0, 0, 0, 10))


async def test_what_the_stream_still_has_is_remembered_for_as_long(
    settings: Settings, redis: Redis, pool: Pool, operator: Operator
) -> None:
    await stored(settings, redis, ORDERED)
    assert await removed(pool, redis) == 10
    far = datetime.now(UTC) + QUARTER
    assert await retention.prune_ledger(pool, far, timedelta(days=7)) == 0
    said = await replayed(operator)
    assert (said["entries"], said["redelivered"]) == (10, 10)

    await redis.flushdb()
    await append_events(redis, [OTHERS[0]])
    await check_stream(redis, pool, 0)
    assert await retention.prune_ledger(pool, far, timedelta(days=7)) == 10


async def test_entries_that_the_stream_has_trimmed_are_not_remembered(
    settings: Settings, redis: Redis, pool: Pool
) -> None:
    await BatchWriter(pool, 0).write(
        0, [ReceivedEvent(f"{number}-0", pack(encode(one))) for number, one in enumerate(ORDERED)], []
    )
    await append_events(redis, [OTHERS[0]])
    assert await removed(pool, redis) == 10
    assert await pool.fetch("SELECT * FROM settled_entries") == []
