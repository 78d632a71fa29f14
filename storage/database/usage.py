"""Measures the Postgres server and the size of its tables, from statistics that every login may read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from storage.database.failures import translated_errors
from storage.database.pool import Connection

# without pg_read_all_stats, the transactions of other logins are invisible: the age would be too low
_SERVER: Final = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL) AS connections,
       current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
           - coalesce(current_setting('reserved_connections', true)::integer, 0) AS connections_limit,
       CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN (
           SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
           FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
       ) END AS oldest_transaction,
       (SELECT max(age(datfrozenxid)) FROM pg_database) / 2147483648.0::float8 AS xid_age_ratio
"""

# A partition counts for its parent, also while it is being detached; temporary tables of workers are left out. A size
# waits for an exclusive lock of any partition, so a table with one is left out as a whole: a part of it would be wrong.
_TABLES: Final = """
SELECT coalesce(nullif(stat.schemaname, 'public') || '.', '') || root.relname AS table,
       coalesce(sum(pg_total_relation_size(stat.relid)), 0)::bigint AS bytes,
       coalesce(sum(stat.n_dead_tup) / nullif(sum(stat.n_live_tup + stat.n_dead_tup), 0), 0)::float8 AS dead_ratio
FROM pg_stat_user_tables AS stat
LEFT JOIN pg_inherits ON inhrelid = stat.relid
JOIN pg_class AS root ON root.oid = coalesce(inhparent, stat.relid)
WHERE stat.schemaname IN ('public', 'retired') AND root.oid NOT IN (
    SELECT coalesce(inhparent, relation) FROM pg_locks LEFT JOIN pg_inherits ON inhrelid = relation
    WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
GROUP BY 1
"""

# the server keeps the last lag of a replica that has replayed everything; without pg_read_all_stats there are no states
_REPLICAS: Final = """
SELECT application_name AS replica,
       max(CASE WHEN replay_lsn = pg_current_wal_lsn() THEN 0
                ELSE coalesce(extract(epoch FROM replay_lag), 0) END)::float8 AS lag
FROM pg_stat_replication
WHERE state = 'streaming'
GROUP BY application_name
"""

# names of applications are not hidden from any login
_APPLICATIONS: Final = """
SELECT application_name, count(*) AS connections FROM pg_stat_activity
WHERE datname = current_database() AND usesysid IS NOT NULL AND pid <> pg_backend_pid()
GROUP BY application_name ORDER BY application_name
"""


@dataclass(frozen=True, slots=True)
class ServerUsage:
    """The Postgres server at one moment."""

    connections: int
    """Connections of clients, to all databases."""
    connections_limit: int
    """Connections that are allowed to logins without special rights."""
    oldest_transaction: timedelta | None
    """Age of the oldest open transaction of the database; None if this login may not see those of others."""
    xid_age_ratio: float
    """Share of the transaction ids that are used since the last freeze. At 1 the server accepts no writes."""


@dataclass(frozen=True, slots=True)
class TableUsage:
    """A table with its indexes and partitions."""

    table: str
    size_bytes: int
    dead_ratio: float
    """Share of dead rows, by the statistics of the server; 0 for an empty table."""


async def read_server_usage(pool: asyncpg.Pool | Connection) -> ServerUsage:
    """Return how much of the server is in use. Raises StorageUnavailable."""
    with translated_errors():
        row = await pool.fetchrow(_SERVER)
    assert row is not None
    oldest = row["oldest_transaction"]
    return ServerUsage(
        row["connections"],
        row["connections_limit"],
        None if oldest is None else timedelta(seconds=oldest),
        row["xid_age_ratio"],
    )


async def read_applications(pool: asyncpg.Pool | Connection) -> dict[str, int]:
    """Return the number of connections to the database by the name of their application. Raises StorageUnavailable."""
    with translated_errors():
        rows = await pool.fetch(_APPLICATIONS)
    return {row["application_name"]: row["connections"] for row in rows}


async def read_replica_lags(pool: asyncpg.Pool) -> dict[str, timedelta]:
    """Return by name how far each connected replica is behind; empty for a login without pg_read_all_stats.

    Of replicas with the same name, the one that is most behind counts. Raises StorageUnavailable.
    """
    with translated_errors():
        rows = await pool.fetch(_REPLICAS)
    return {row["replica"]: timedelta(seconds=row["lag"]) for row in rows}


async def read_table_usage(pool: asyncpg.Pool) -> list[TableUsage]:
    """Return the usage of each table on which nobody holds, or waits for, an exclusive lock.

    Waits for a lock that is taken meanwhile. Raises StorageUnavailable.
    """
    with translated_errors():
        rows = await pool.fetch(_TABLES)
    return [TableUsage(*row) for row in rows]


async def read_database_size(pool: asyncpg.Pool) -> int:
    """Return the size of the database on disk, in bytes. Raises StorageUnavailable."""
    with translated_errors():
        size: int = await pool.fetchval("SELECT pg_database_size(current_database())")
    return size


async def read_time(pool: asyncpg.Pool | Connection) -> datetime:
    """Return the time of the server. Raises StorageUnavailable."""
    with translated_errors():
        now: datetime = await pool.fetchval("SELECT clock_timestamp()")
    return now
