"""The chores that measure what operators watch: the streams, the books, the database and the clocks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from processors.balance import Balance, read_balances
from processors.maintenance.chore import Chore
from runtime.clock import clock_skew, utc_now
from runtime.settings import Settings
from storage import api_keys, dead_letters
from storage.batches import verify_parts
from storage.database import usage
from storage.database.pool import Pool
from storage.privacy.erasure import open_since
from storage.retention.overdue import read_overdue
from stream.entries.extent import measure_extent
from stream.keys import stream_key
from stream.server import health
from stream.server.clock import read_time
from stream.server.connection import Redis
from telemetry import leader_facts
from telemetry.labels import DeadLetterReason, Server


def measuring_chores(settings: Settings, redis: Redis, pool: Pool) -> list[Chore]:
    """Return the chores that measure and change nothing."""
    streams = range(settings.stream_partitions)

    async def measure_retention() -> str:
        overdue = await read_overdue(pool, utc_now(), settings.raw_retention, settings.system_metrics_retention)
        for table, age in overdue.items():
            leader_facts.RETENTION_OVERDUE.set(age.total_seconds(), table)
        return "measured"

    half_minute = timedelta(seconds=30)
    minute = timedelta(minutes=1)
    return [
        Chore("measure_streams", half_minute, lambda: measure_streams(redis, streams)),
        Chore("measure_clocks", half_minute, lambda: measure_clocks(redis, pool)),
        Chore("measure_database", half_minute, lambda: measure_database(pool, utc_now())),
        Chore("measure_tables", minute, lambda: measure_tables(pool)),
        Chore("measure_books", minute, lambda: measure_books(redis, pool, streams)),
        Chore("measure_retention", timedelta(minutes=10), measure_retention),
    ]


async def measure_streams(redis: Redis, streams: Sequence[int]) -> str:
    """Measure whether Redis is safe, and the size of each stream. Raises StreamUnavailable."""
    safety = await health.safety(redis)
    leader_facts.REDIS_SAFE.set(safety.is_safe)
    leader_facts.REDIS_REPLICAS.set(safety.replicas)
    for stream in streams:
        extent = await measure_extent(redis, stream)
        leader_facts.STREAM_BYTES.set(extent.size_bytes, stream_key(stream))
        if extent.window is not None:
            leader_facts.STREAM_WINDOW.set(extent.window.total_seconds(), stream_key(stream))
    return "measured"


async def measure_clocks(redis: Redis, pool: Pool) -> str:
    """Compare the clock of each server with that of this process. Raises DependencyUnavailable."""
    readers: dict[Server, Callable[[], Awaitable[datetime]]] = {
        Server.REDIS: lambda: read_time(redis),
        Server.POSTGRES: lambda: usage.read_time(pool),
    }
    for server, read in readers.items():
        asked = utc_now()
        answer = await read()
        leader_facts.CLOCK_SKEW.set(clock_skew(answer, asked, utc_now()).total_seconds(), server)
    return "measured"


async def measure_books(redis: Redis, pool: Pool, streams: Sequence[int]) -> str:
    """Measure the balance of the books. Raises DependencyUnavailable."""
    for balance in await read_balances(redis, pool, streams):
        publish_balance(balance)
    return "measured"


def publish_balance(balance: Balance) -> None:
    """Set the books of a stream; no imbalance while it is unknown."""
    stream = stream_key(balance.partition)
    for fate, entries in balance.fates().items():
        leader_facts.BOOKS_ENTRIES.set(entries, stream, fate)
    if balance.imbalance is not None:
        leader_facts.BOOKS_IMBALANCE.set(balance.imbalance, stream)


async def measure_database(pool: Pool, now: datetime) -> str:
    """Measure what waits in the database, and how much of the server is in use. Raises StorageUnavailable."""
    waiting = dict.fromkeys(DeadLetterReason, 0) | await dead_letters.count_waiting(pool)
    for reason, letters in waiting.items():
        leader_facts.DEAD_LETTERS_WAITING.set(letters, reason)
    erasures = await open_since(pool)
    leader_facts.ERASURES_OPEN.set(len(erasures))
    leader_facts.ERASURE_OLDEST.set((now - min(erasures, default=now)).total_seconds())
    expiry = await api_keys.next_expiry(pool)
    if expiry is not None:
        leader_facts.API_KEY_EXPIRY.set(expiry.timestamp())
    for table, rows in (await verify_parts.read_drift(pool)).items():
        leader_facts.VERIFY_DRIFT.set(rows, table)
    verified = await verify_parts.last_success(pool)
    if verified is not None:
        leader_facts.VERIFY_SUCCESS.set(verified.timestamp())
    server = await usage.read_server_usage(pool)
    leader_facts.DATABASE_CONNECTIONS.set(server.connections)
    leader_facts.DATABASE_CONNECTIONS_LIMIT.set(server.connections_limit)
    leader_facts.DATABASE_XID_AGE.set(server.xid_age_ratio)
    if server.oldest_transaction is not None:
        leader_facts.DATABASE_OLDEST_TRANSACTION.set(server.oldest_transaction.total_seconds())
    for replica, lag in (await usage.read_replica_lags(pool)).items():
        leader_facts.DATABASE_REPLICA_LAG.set(lag.total_seconds(), replica)
    return "measured"


async def measure_tables(pool: Pool) -> str:
    """Measure the size of the database and of each table. Raises StorageUnavailable."""
    leader_facts.DATABASE_BYTES.set(await usage.read_database_size(pool))
    for table in await usage.read_table_usage(pool):
        leader_facts.TABLE_BYTES.set(table.size_bytes, table.table)
        leader_facts.TABLE_DEAD_RATIO.set(table.dead_ratio, table.table)
    return "measured"
