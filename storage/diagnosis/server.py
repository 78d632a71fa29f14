"""Checks the version, the settings and the usage of a Postgres server, and the schema of the database."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import asyncpg

from runtime.diagnosis import Finding, check
from storage.database.failures import translated_errors
from storage.database.revision import head_revision
from storage.database.usage import ServerUsage

_OLDEST: Final = 15
_LONG_TRANSACTION: Final = timedelta(minutes=10)
_XID_AGE_RATIO: Final = 0.5

_FACTS: Final = """
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int / 10000 AS major,
       current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit
"""


async def read_facts(connection: asyncpg.Connection) -> asyncpg.Record:
    """Return the settings that `check_server` takes. Raises StorageUnavailable."""
    with translated_errors():
        row = await connection.fetchrow(_FACTS)
    assert row is not None
    return row


def check_server(facts: asyncpg.Record) -> list[Finding]:
    """Check the version and settings of the server."""
    return [
        check(
            "postgres.version",
            facts["major"] >= _OLDEST,
            f"PostgreSQL {facts['version']}",
            f"use PostgreSQL {_OLDEST} or newer",
        ),
        check(
            "postgres.durability",
            facts["fsync"] == "on" and facts["synchronous_commit"] != "off",
            f"fsync is {facts['fsync']}, synchronous_commit is {facts['synchronous_commit']}",
            "set both to on: events are acknowledged in Redis once Postgres confirms the commit",
        ),
    ]


def check_usage(used: ServerUsage, pool_size: int, service_connections: int) -> list[Finding]:
    """Check how much of the server is in use.

    One more process may open `pool_size` connections, the running ones together `service_connections`.
    """
    left = used.connections_limit - used.connections
    oldest = used.oldest_transaction
    return [
        check(
            "postgres.connections",
            left >= pool_size,
            f"{used.connections} of {used.connections_limit} in use",
            f"raise max_connections or lower ANALYTICS_DB_POOL_SIZE ({pool_size} per process)",
            otherwise="warn",
        ),
        check(
            "fleet.connections",
            service_connections <= used.connections_limit,
            f"the running processes may open {service_connections} of {used.connections_limit} connections",
            "raise max_connections, or run fewer processes. See `Database connections` in docs/operations.md",
            otherwise="warn",
        ),
        check(
            "postgres.transactions",
            oldest is None or oldest < _LONG_TRANSACTION,
            "this login may not see the transactions of others: it lacks pg_read_all_stats"
            if oldest is None
            else f"the oldest is {oldest.total_seconds():.0f} s old",
            "end it (pg_terminate_backend): it prevents vacuum",
            otherwise="warn",
        ),
        check(
            "postgres.wraparound",
            used.xid_age_ratio < _XID_AGE_RATIO,
            f"{used.xid_age_ratio:.0%} of the transaction ids are used since the last freeze",
            "see `Wraparound` in docs/operations.md: at 100 % Postgres accepts no writes",
            otherwise="warn",
        ),
    ]


def check_schema(current: str | None) -> Finding:
    """Check that the schema is of this release; `current` is its revision, None if it was never migrated."""
    head = head_revision()
    is_newer = current is not None and current > head
    return check(
        "postgres.schema",
        current == head,
        f"at revision {current}" if current else "never migrated",
        f"use the newer release: this one has {head}" if is_newer else f"run `analytics migrate up` to reach {head}",
    )
