"""Whatever the stream holds, valid entries are stored, invalid ones are parked with them, and the worker continues."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from redis.asyncio import Redis

from processors.store import worker
from processors.store.batch import BatchPolicy
from processors.store.breaker import Breaker, BreakerPolicy
from processors.store.poison_isolation import PoisonIsolatingWriter
from runtime.errors import DeadLetterLimitReached
from runtime.settings import Settings
from storage.batches.batch import BatchCounts, DeadLetter, ReceivedEvent
from storage.batches.verify import Books, read_books, verify_aggregates
from storage.batches.writer import BatchWriter
from storage.database.pool import open_pool
from stream.entries.consumer import Consumer
from stream.entries.lag import measure
from stream.keys import STORE_GROUP
from stream.server.connection import connect
from tests.support.entries import append_entry, append_events, in_a_row
from tests.support.events import event, learner
from tests.support.poison import CANARY, copy_poison, fields_of, fuzzed, row_poison, shape_poison
from tests.support.waiting import eventually

GOOD = 99
BATCH = GOOD + 1
UNLIMITED = BreakerPolicy(0, 0, 1)
FIRST_BAD = 1_000_000


class CountingWriter(BatchWriter):
    """A writer that records the number of transactions of each commit."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool, 0)
        self.costs: list[int] = []
        self._transactions = 0

    async def write(
        self, partition: int, events: Sequence[ReceivedEvent], dead_letters: Sequence[DeadLetter]
    ) -> BatchCounts:
        self._transactions += 1
        counts = await super().write(partition, events, dead_letters)
        self.costs.append(self._transactions)
        self._transactions = 0
        return counts

    async def rehearse(self, partition: int, events: Sequence[ReceivedEvent]) -> None:
        self._transactions += 1
        await super().rehearse(partition, events)


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    client = connect(settings)
    yield client
    await client.aclose()


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(settings.database_dsn, size=2, application_name="tests")
    yield pool
    await pool.close()


async def put_among_good(redis: Redis, bad: Sequence[dict[bytes, bytes]], chance: random.Random) -> list[str]:
    """Append each bad entry at some position among 99 good ones; return their ids."""
    ids = []
    for number, fields in enumerate(bad):
        good = [
            event("xp_earned", {"xp_amount": 1}, number=number * GOOD + n, user_hash=learner(n % 5))
            for n in range(GOOD)
        ]
        place = chance.randint(0, GOOD)
        await append_events(redis, good[:place])
        ids.append(await append_entry(redis, fields))
        await append_events(redis, good[place:])
    return ids


async def drain(redis: Redis, writer: BatchWriter) -> None:
    """Store the whole stream in full batches."""
    stop = asyncio.Event()
    source = Consumer(redis, 0, STORE_GROUP, "tests", claim_idle_seconds=120)
    isolating = PoisonIsolatingWriter(writer, 0, stop, Breaker(UNLIMITED))
    policy = BatchPolicy(size=BATCH, interval=60, linger_ms=50)
    working = asyncio.create_task(worker.PartitionWorker(source, isolating, policy, timedelta(days=90)).run(stop))

    async def nothing_waits() -> bool:
        lag = await measure(redis, 0)
        return working.done() or (lag.appended > 0 and lag.undelivered == 0 and lag.pending == 0)

    await eventually(nothing_waits)
    stop.set()
    await working


async def drift(pool: asyncpg.Pool) -> list[str]:
    async with pool.acquire() as connection:
        found = await verify_aggregates(connection, datetime.now(UTC), timedelta(days=30))
    return [table.table for table in found if not table.is_clean]


async def books(pool: asyncpg.Pool) -> Books:
    async with pool.acquire() as connection:
        return (await read_books(connection))[0]


async def test_every_kind_of_poison_is_parked_with_its_neighbours(redis: Redis, pool: asyncpg.Pool) -> None:
    kinds = copy_poison(FIRST_BAD) | shape_poison(FIRST_BAD + 100) | row_poison(FIRST_BAD + 200)
    ids = await put_among_good(redis, [poison.fields for poison in kinds.values()], random.Random(1))
    writer = CountingWriter(pool)

    await drain(redis, writer)

    parked = {row["entry_id"]: row for row in await pool.fetch("SELECT *, xmin::text AS xmin FROM dead_letters")}
    assert {name: parked[entry]["reason"] for name, entry in zip(kinds, ids, strict=True)} == {
        name: poison.reason for name, poison in kinds.items()
    }
    assert await books(pool) == Books(GOOD * len(kinds), 0, 0, len(kinds))
    assert await pool.fetchval("SELECT count(*) FROM analytics_events") == GOOD * len(kinds)
    assert await drift(pool) == []
    assert CANARY not in "".join(row["payload"] + row["detail"] for row in parked.values())
    # one commit per batch: the dead letter and the 99 other events share a transaction
    written = await pool.fetch("SELECT xmin::text AS xmin, count(*) FROM analytics_events GROUP BY 1")
    assert {row["xmin"]: row["count"] for row in written} == {row["xmin"]: GOOD for row in parked.values()}
    assert len(writer.costs) == len(kinds)
    assert max(writer.costs) <= 1 + math.ceil(math.log2(BATCH)) + 1


async def test_many_in_one_batch_are_all_found(redis: Redis, pool: asyncpg.Pool) -> None:
    poison = copy_poison(FIRST_BAD) | shape_poison(FIRST_BAD + 100) | row_poison(FIRST_BAD + 200)
    kinds = [each.fields for each in poison.values()]
    random.Random(2).shuffle(kinds)
    for fields in kinds[:-1]:
        await append_entry(redis, fields)
    await append_events(redis, [event("session_start", number=n) for n in range(3)])
    await append_entry(redis, kinds[-1])

    await drain(redis, BatchWriter(pool, 0))

    assert await books(pool) == Books(3, 0, 0, len(kinds))
    assert await drift(pool) == []


@pytest.mark.parametrize(
    ("event_type", "name"),
    [
        ("xp_earned", "xp_amount"),
        ("achievement_earned", "xp_reward"),
        ("ai_message_sent", "message_length"),
        ("ai_message_received", "response_time_ms"),
        ("ai_message_received", "tokens"),
        ("ai_feedback_rated", "rating"),
    ],
)
async def test_a_value_that_fills_a_sum_is_refused_before_it_spoils_its_neighbours(
    redis: Redis, pool: asyncpg.Pool, event_type: str, name: str
) -> None:
    facts = {"achievement_id": "a"} if event_type == "achievement_earned" else {}
    full = event(event_type, facts | {name: 2**63 - 1}, number=1)
    await append_events(redis, [full, *(event(event_type, facts | {name: 1}, number=n) for n in range(2, 10))])
    await drain(redis, BatchWriter(pool, 0))
    assert await pool.fetchval("SELECT event_id FROM dead_letters") == full.event_id
    assert await books(pool) == Books(8, 0, 0, 1)


async def test_sums_that_overflow_only_together_cost_one_of_them(redis: Redis, pool: asyncpg.Pool) -> None:
    await append_events(redis, [event("xp_earned", {"xp_amount": 1}, number=1)])
    await drain(redis, BatchWriter(pool, 0))
    await pool.execute("UPDATE gamification_stats SET total_xp = 9223372036854775807 - 5")
    await append_events(redis, [event("xp_earned", {"xp_amount": 3}, number=n) for n in (2, 3)])
    await drain(redis, BatchWriter(pool, 0))
    assert await books(pool) == Books(2, 0, 0, 1)


@pytest.mark.parametrize("form", [dict, in_a_row], ids=["ten fields", "a row"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_noise_of_any_kind_costs_good_entries_nothing(
    redis: Redis, pool: asyncpg.Pool, seed: int, form: Callable[[dict[bytes, bytes]], dict[bytes, bytes]]
) -> None:
    chance = random.Random(seed)
    noise = [form(fuzzed(chance, FIRST_BAD + number)) for number in range(80)]
    ids = await put_among_good(redis, noise, chance)

    await drain(redis, BatchWriter(pool, 0))

    good = {event("session_start", number=number).event_id for number in range(GOOD * len(noise))}
    stored = {row["event_id"]: row["entry_id"] for row in await pool.fetch("SELECT * FROM analytics_events")}
    assert good <= stored.keys()
    parked = await pool.fetch("SELECT * FROM dead_letters")
    duplicates = await pool.fetch("SELECT entry_id FROM settled_entries")
    fates = [
        *(row["entry_id"] for row in (*parked, *duplicates)),
        *(entry for key, entry in stored.items() if key not in good),
    ]
    assert sorted(fates) == sorted(ids)
    assert len(parked) > len(noise) / 2
    assert CANARY not in "".join(row["payload"] + row["detail"] for row in parked)
    assert await drift(pool) == []


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(settings, stop))
    yield task
    stop.set()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_worker_stops_rather_than_park_a_bad_release_until_somebody_acts(
    settings: Settings, redis: Redis, pool: asyncpg.Pool
) -> None:
    await append_events(redis, [event("session_start", number=n) for n in range(50)])
    unreadable = [fields_of(event("session_start", number=n), event_type=b"quiz_done") for n in range(50, 400)]
    for fields in unreadable:
        await append_entry(redis, fields)
    # two starts: the first processes one or two mixed batches, the second reads only bad entries
    for _ in range(2):
        async with running(settings) as stopped:
            with pytest.raises(ExceptionGroup) as raised:
                await asyncio.shield(stopped)
        assert raised.group_contains(DeadLetterLimitReached, match="the limit is")
        assert await pool.fetchval("SELECT count(*) FROM dead_letters") == 0
        assert await pool.fetchval("SELECT count(*) FROM batch_books") == 0
    lag = await measure(redis, 0)
    assert lag.undelivered is not None
    assert (lag.appended, lag.pending + lag.undelivered) == (400, 400)

    off = settings.model_copy(
        update={"dead_letter_max_ratio": 0, "dead_letter_max_consecutive": 0, "claim_idle_seconds": 0.001}
    )
    async with running(off):
        await eventually(lambda: holds(redis, 0))
    assert await books(pool) == Books(50, 0, 0, 350)


async def test_a_refusal_of_the_database_counts_too(settings: Settings, redis: Redis, pool: asyncpg.Pool) -> None:
    await pool.execute("ALTER TABLE analytics_events ADD CONSTRAINT wrong CHECK (source <> 'tests')")
    await append_events(redis, [event("session_start", number=n) for n in range(100)])
    async with running(settings) as stopped:
        with pytest.raises(ExceptionGroup) as raised:
            await asyncio.shield(stopped)
    assert raised.group_contains(DeadLetterLimitReached, match="rejected_by_database")
    assert await pool.fetchval("SELECT count(*) FROM dead_letters") == 0


async def holds(redis: Redis, count: int) -> bool:
    lag = await measure(redis, 0)
    return lag.undelivered == 0 and lag.pending == count
