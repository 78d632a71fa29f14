"""How many entries a loss of Redis affected is counted without reading events from long before it."""

from __future__ import annotations

from datetime import timedelta

import asyncpg

from schemas.entry import encode, pack
from schemas.identifiers import unix_milliseconds
from storage.batches.batch import DeadLetter, ReceivedEvent
from storage.batches.writer import BatchWriter
from storage.database.pool import Pool
from storage.losses import measure_losses, read_losses, record_loss
from tests.support.events import NOW, event

MINUTE = timedelta(minutes=1)


def entry(minutes: int, number: int = 0) -> str:
    """Return the id of an entry that was appended so many minutes from now."""
    return f"{unix_milliseconds(NOW + minutes * MINUTE)}-{number}"


async def store(pool: Pool, minutes: int, numbers: range, *, received: timedelta = timedelta()) -> None:
    """Store events whose entries were appended so many minutes from now."""
    moment = NOW + minutes * MINUTE
    events = [
        ReceivedEvent(
            entry(minutes, number),
            pack(
                encode(
                    event(
                        "xp_earned", {"xp_amount": 1}, number=number, occurred_at=moment, received_at=moment + received
                    )
                )
            ),
        )
        for number in numbers
    ]
    await BatchWriter(pool, 0).write(0, events, [])


async def lost(pool: Pool, database: asyncpg.Connection) -> list[int]:
    assert await measure_losses(pool, NOW) > 0
    return [loss.lost for loss in await read_losses(database)]


async def noticed(pool: Pool, missing: int, after: str, before: str) -> None:
    await record_loss(pool, 0, missing, after=after, before=before, appended=0, last_id=before, first_id=before)


async def test_what_was_settled_in_the_range_of_a_loss_is_not_lost(pool: Pool, database: asyncpg.Connection) -> None:
    await store(pool, -10, range(20))
    await store(pool, -4, range(20, 25))
    await BatchWriter(pool, 0).write(0, [], [DeadLetter(entry(-4, 30), "malformed", "", "{}")])
    await store(pool, -1, range(40, 50))
    await noticed(pool, 8, entry(-5), entry(-2))
    assert await lost(pool, database) == [2]

    await store(pool, -3, range(60, 61))
    assert await lost(pool, database) == [1]


async def test_events_received_long_before_a_loss_are_not_read(pool: Pool, database: asyncpg.Connection) -> None:
    await store(pool, -4, range(5), received=timedelta(hours=-3))
    await store(pool, -4, range(5, 10), received=timedelta(minutes=-30))
    await noticed(pool, 10, entry(-5), entry(-2))
    assert await lost(pool, database) == [5]


async def test_of_a_redis_that_was_emptied_the_books_say_what_was_settled_before(
    pool: Pool, database: asyncpg.Connection
) -> None:
    await store(pool, -60 * 24 * 20, range(100))
    await store(pool, -4, range(100, 120))
    # retention has removed the oldest rows, and nobody remembers their entries
    await database.execute("DELETE FROM analytics_events WHERE received_at < $1", NOW - timedelta(days=1))
    await store(pool, -1, range(200, 230))
    await noticed(pool, 125, "0-0", entry(-2))
    assert await lost(pool, database) == [5]

    await store(pool, 1, range(300, 310))
    await noticed(pool, 45, "0-0", entry(3))
    assert await lost(pool, database) == [5, 5]


async def test_the_events_of_a_time_are_found_by_an_index(pool: Pool, database: asyncpg.Connection) -> None:
    await database.execute("SET enable_seqscan = off")
    plan = await database.fetch("EXPLAIN SELECT entry_id FROM analytics_events WHERE received_at >= now()")
    assert not [line[0] for line in plan if "Seq Scan" in line[0]]
