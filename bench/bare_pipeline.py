"""Floor for the processor time of an event: the same servers and bytes, with nothing but the necessary commands.

One client of redis-py and asyncpg does this for a thousand events at a time, with servers that have nothing else to do:

    XADD        an entry of one field, the row in the text format of COPY; 100 in a pipeline
    PUBLISH     the same bytes, once an event, in the same pipelines; nobody subscribes
    XREADGROUP  one consumer reads the thousand
    COPY        the rows into a temporary table, INSERT .. ON CONFLICT DO NOTHING into `analytics_events`, COMMIT
    XACK        the thousand in one command

There is no HTTP, no validation, no aggregate, no book, no history, and no second reader. The form of an entry is fixed
here, whatever that of the product is, so that the floor of two commits is the same.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import asyncpg
import uvloop

from bench.backlog import PSEUDONYM_KEYS, backlog, typed
from bench.bare_copy import COLUMNS, INSERT, STAGE
from bench.processor import seconds_of_children
from bench.servers import fresh_servers
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from stream.server.connection import Redis, connect

STREAM: Final = "bench:bare"
GROUP: Final = "store"
CHANNEL: Final = "bench:bare:live"
_FIELD: Final = b"e"
_PIPELINE: Final = 100
_BATCH: Final = 1_000
_NULL: Final = r"\N"
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True, slots=True)
class Bare:
    """Processor time of the bare way per event, in seconds."""

    redis: float
    postgres: float
    client: float

    @property
    def total(self) -> float:
        """The sum of the parts."""
        return self.redis + self.postgres + self.client

    def mean(self, other: Bare) -> Bare:
        """Return the mean of two runs."""
        return Bare(
            (self.redis + other.redis) / 2, (self.postgres + other.postgres) / 2, (self.client + other.client) / 2
        )


async def measure(events: int) -> Bare:
    """Run the bare way with `events` events on fresh servers. A warm-up of one batch is not measured."""
    async with fresh_servers() as servers:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return await asyncio.get_running_loop().run_in_executor(
                pool, _run, servers.redis_url, servers.database_url, events
            )


def _run(redis_url: str, database_url: str, events: int) -> Bare:
    """Measure in a process of its own. The servers are children of its parent."""
    rows = make_rows(_BATCH + events)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measured(redis_url, database_url, rows))


async def _measured(redis_url: str, database_url: str, rows: Sequence[bytes]) -> Bare:
    redis = connect(Settings.model_validate({"redis_url": redis_url}))
    database = await asyncpg.connect(database_url)
    await prepare(redis, database)
    await process(redis, database, rows[:_BATCH])
    before, began = seconds_of_children(os.getppid()), time.process_time()
    await process(redis, database, rows[_BATCH:])
    client, after = time.process_time() - began, seconds_of_children(os.getppid())
    await database.close()
    await redis.aclose()
    spent = {part: (after[part] - before[part]) / (len(rows) - _BATCH) for part in before}
    return Bare(
        sum(seconds for part, seconds in spent.items() if is_redis(part)),
        spent.get("postgres", 0.0),
        client / (len(rows) - _BATCH),
    )


def is_redis(part: str) -> bool:
    """Whether a program is the server of the stream: `redis-server` or `valkey-server`."""
    return part.endswith("-server")


def make_rows(count: int) -> list[bytes]:
    """Return accepted demo events as rows of COPY, without the position in the stream."""
    settings = Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS})
    return [_row(typed(event)) for event in backlog(count, settings)]


def _row(event: AcceptedEvent) -> bytes:
    values = (
        str(event.event_id),
        event.event_type,
        _NULL if event.user_hash is None else rf"\\x{event.user_hash.hex()}",
        _NULL if event.session_id is None else str(event.session_id),
        event.occurred_at.isoformat(),
        event.received_at.isoformat(),
        event.activity_date.isoformat(),
        str(event.schema_version),
        event.source.translate(_ESCAPES),
        event.properties.translate(_ESCAPES),
    )
    return "\t".join(values).encode()


async def prepare(redis: Redis, database: asyncpg.Connection) -> None:
    """Create the consumer group and the temporary table."""
    await redis.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    await database.execute(STAGE)


async def process(redis: Redis, database: asyncpg.Connection, rows: Sequence[bytes]) -> None:
    """Append, publish, read, store and acknowledge the rows, batch after batch."""
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        await _append_and_publish(redis, batch)
        read: Any = await redis.xreadgroup(GROUP, "client", {STREAM: ">"}, count=_BATCH)
        [(_, entries)] = read
        await _store(database, entries)
        await redis.xack(STREAM, GROUP, *(entry_id for entry_id, _ in entries))


async def _append_and_publish(redis: Redis, rows: Sequence[bytes]) -> None:
    for start in range(0, len(rows), _PIPELINE):
        async with redis.pipeline(transaction=False) as pipeline:
            for row in rows[start : start + _PIPELINE]:
                pipeline.execute_command("XADD", STREAM, "*", _FIELD, row)
                pipeline.execute_command("PUBLISH", CHANNEL, row)
            await pipeline.execute()


async def _store(database: asyncpg.Connection, entries: Sequence[tuple[bytes, dict[bytes, Any]]]) -> None:
    # the position in the stream completes the row
    data = b"".join([b"%b\t0\t%b\n" % (fields[_FIELD], entry_id) for entry_id, fields in entries])
    async with database.transaction():
        await database.copy_to_table("stage", source=BytesIO(data), columns=COLUMNS)
        await database.execute(INSERT)
