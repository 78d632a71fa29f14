"""Fills a database with many realistic events within minutes, as if workers had stored them.

Copies in a base of demo events once and multiplies it in SQL: each copy has fresh ids, other learners, and slightly
earlier times. Rows are inserted in the order of the event times, as with live traffic, so that their position on disk
is realistic. Aggregates come from the statements of the workers, run over all events at once. The books and the
counters of the stream have the values of as many entries that were stored and trimmed. `analytics verify` passes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from bench.backlog import PSEUDONYM_KEYS, backlog, typed
from bench.servers import Servers
from cli.demo.learners import DEMO_USER
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.identifiers import RESERVED_FLOOR
from storage.batches.rollups import RAW_EVENTS, ROLLUPS
from storage.database.pool import connect
from stream.entries.groups import ensure_group
from stream.keys import STORE_GROUP, stream_key

LEARNERS: Final = 100_000
_BASE_EVENTS: Final = 100_000
_CLIENTS: Final = 2
_SLICE_EVENTS: Final = 50_000
"""Approximate number of events inserted by one statement."""
_BATCH: Final = 1_000
_COLUMNS: Final = ", ".join((*AcceptedEvent._fields, "stream_partition", "entry_id"))

_CREATE: Final = """
CREATE UNLOGGED TABLE filling_learners (number integer PRIMARY KEY, user_hash bytea NOT NULL);
CREATE UNLOGGED TABLE filling_events (number integer PRIMARY KEY, learner integer, LIKE analytics_events);
ALTER TABLE filling_events DROP COLUMN user_hash, DROP COLUMN stream_partition, DROP COLUMN entry_id;
"""
_DROP: Final = "DROP TABLE filling_events; DROP TABLE filling_learners"

# the ids of a copy are derived from the base; at half a minute each, a hundred copies stay within an hour
_MULTIPLY: Final = f"""
INSERT INTO analytics_events ({_COLUMNS})
SELECT
    CASE WHEN event_id >= '{RESERVED_FLOOR}'
        THEN 'ffff' || left(fresh, 8) || '8' || substr(fresh, 9, 3) || '8' || substr(fresh, 12, 15)
        ELSE left(analytics_uuid_floor(moment)::text, 13) || '7' || left(fresh, 3) || '8' || substr(fresh, 4, 15)
    END::uuid,
    event_type, user_hash,
    (left(session_id::text, 13) || '7' || left(session, 3) || '8' || substr(session, 4, 15))::uuid,
    moment, moment + interval '1 second', activity_date, schema_version, source, properties,
    0, (extract(epoch FROM moment) * 1000)::bigint + 1000 || '-' || copy
FROM (
    SELECT base.*, copy,
        base.occurred_at - copy * interval '30 seconds' AS moment,
        md5(base.event_id::text || copy) AS fresh,
        md5(base.session_id::text || copy) AS session,
        (base.learner + copy::bigint * $5) % {LEARNERS} AS asked
    FROM filling_events AS base
    CROSS JOIN LATERAL generate_series(0, $3::integer - (base.number >= $4)::integer) AS copy
    WHERE base.number >= $1 AND base.number < $2
) AS copies
LEFT JOIN filling_learners ON filling_learners.number = copies.asked
"""

_BOOK: Final = """
INSERT INTO batch_books (stream_partition, book_date, slot, batches, stored, duplicate, suppressed, dead_lettered,
                         redelivered)
VALUES (0, (now() AT TIME ZONE 'UTC')::date, 0, $1, $2, 0, 0, 0, 0)
"""

_INDEXES: Final = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
FROM pg_index WHERE indrelid = 'analytics_events'::regclass AND NOT indisprimary
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Base:
    """Distinct events to multiply, in the order of their times."""

    events: Sequence[AcceptedEvent]
    numbers: Sequence[int | None]
    """The learner of each event as a number from 0 without gaps; None for an event without a learner."""

    @property
    def learners(self) -> int:
        """Number of distinct learners."""
        return max((number for number in self.numbers if number is not None), default=-1) + 1


@dataclass(frozen=True, slots=True)
class Copies:
    """How often each event of a base is stored to reach an exact total."""

    last: int
    """Number of the last copy, from 0, of events with one more copy."""
    more: int
    """Number of events, from the first, with one more copy. The others end with the copy before."""


def make_base(most: int) -> Base:
    """Return a base of up to `most` events of the last 30 days."""
    settings = Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS})
    return base_of(map(typed, backlog(min(most, _BASE_EVENTS), settings, users=LEARNERS)))


def base_of(events: Iterable[AcceptedEvent]) -> Base:
    """Return each distinct event once, in the order of the times, and the learners as numbers."""
    ordered = sorted({event.event_id: event for event in events}.values(), key=lambda event: event.occurred_at)
    known: dict[bytes, int] = {}
    numbers = [None if event.user_hash is None else known.setdefault(event.user_hash, len(known)) for event in ordered]
    return Base(ordered, numbers)


def copies(events: int, base: int) -> Copies:
    """Return how often each of `base` events is stored so that the total is `events`."""
    whole, more = divmod(events, base)
    return Copies(whole, more)


def slices(base: int, events: int) -> list[tuple[int, int]]:
    """Return the slices of a base (from, to) whose copies are inserted by one statement each."""
    size = max(1, _SLICE_EVENTS * base // max(events, base))
    return [(start, min(start + size, base)) for start in range(0, base, size)]


def known_learners(base: Base, events: int) -> list[str]:
    """Return the user ids of the learners that have events in a database filled with `events` events."""
    whole = events // len(base.events)
    if not whole:
        return [f"{DEMO_USER}{number + 1}" for number in sorted({n for n in base.numbers[:events] if n is not None})]
    return [f"{DEMO_USER}{number + 1}" for number in range(min(base.learners * whole, LEARNERS))]


async def fill(servers: Servers, base: Base, events: int) -> float:
    """Store `events` events in an empty database; return the seconds. Raises RuntimeError if it is not empty."""
    started = time.perf_counter()
    connection = await connect(servers.database_url, application_name="bench-fill")
    try:
        if await connection.fetchval("SELECT count(*) FROM analytics_events"):
            raise RuntimeError("only an empty database can be filled")
        await connection.execute("SET maintenance_work_mem = '512MB'")
        async with _without_indexes(connection):
            await _copy_base(connection, base)
            await _multiply(servers.database_url, base, events)
            await connection.execute(_DROP)
        stored = await connection.fetchval("SELECT count(*) FROM analytics_events")
        if stored != events:
            raise RuntimeError(f"{stored:,} events were stored, not {events:,}")
        await _aggregate(servers.database_url)
        await _book(servers, connection, events)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
    return time.perf_counter() - started


@asynccontextmanager
async def _without_indexes(connection: asyncpg.Connection) -> AsyncIterator[None]:
    indexes = await connection.fetch(_INDEXES)
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    yield
    for index in indexes:
        # the catalog has the definition for the parent table alone
        await connection.execute(index["definition"].replace(" ON ONLY ", " ON ", 1))


async def _copy_base(connection: asyncpg.Connection, base: Base) -> None:
    pseudonymizer = Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS}).pseudonymizer()
    await connection.execute(_CREATE)
    await connection.copy_records_to_table(
        "filling_learners",
        records=[(number, pseudonymizer.pseudonym(f"{DEMO_USER}{number + 1}")) for number in range(LEARNERS)],
    )
    columns = [field for field in AcceptedEvent._fields if field != "user_hash"]
    await connection.copy_records_to_table(
        "filling_events",
        records=[
            (place, number, *(getattr(event, column) for column in columns))
            for place, (event, number) in enumerate(zip(base.events, base.numbers, strict=True))
        ],
        columns=("number", "learner", *columns),
    )
    await connection.execute("ANALYZE filling_events; ANALYZE filling_learners")


async def _multiply(database_url: str, base: Base, events: int) -> None:
    each = copies(events, len(base.events))
    parts = slices(len(base.events), events)
    await _share(database_url, [(_MULTIPLY, (*part, each.last, each.more, base.learners)) for part in parts])


async def _aggregate(database_url: str) -> None:
    # in the slot of the first worker
    slot: dict[bool, tuple[int, ...]] = {True: (0,), False: ()}
    await _share(database_url, [(rollup.upsert(RAW_EVENTS), slot[rollup.slotted]) for rollup in ROLLUPS])


async def _share(database_url: str, work: Sequence[tuple[str, tuple[int, ...]]]) -> None:
    """Execute the statements with their arguments on a few concurrent connections."""
    left = iter(work)

    async def client() -> None:
        connection = await connect(database_url, application_name="bench-fill")
        # after a crash the data is created again
        await connection.execute("SET synchronous_commit = off")
        for statement, arguments in left:
            await connection.execute(statement, *arguments)
        await connection.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_CLIENTS):
            tasks.create_task(client())


async def _book(servers: Servers, connection: asyncpg.Connection, events: int) -> None:
    await connection.execute(_BOOK, -(-events // _BATCH), events)
    redis = servers.client()
    await ensure_group(redis, 0, STORE_GROUP)
    last = f"{int(time.time() * 1000)}-0"
    command: Any = redis.execute_command
    await command("XSETID", stream_key(0), last, "ENTRIESADDED", events)
    await redis.xgroup_setid(stream_key(0), STORE_GROUP, last, entries_read=events)
    await redis.aclose()
