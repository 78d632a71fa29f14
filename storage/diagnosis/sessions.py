"""Checks that a session of this database is that of its connection: no pooler shares it or drops its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import asyncpg

from runtime.diagnosis import Finding, check
from runtime.settings import STATEMENT_TIMEOUT
from storage.database.failures import translated_errors
from storage.database.pool import CONNECT_TIMEOUT, session_settings
from storage.database.primary import connect_to_primary

_LIMITS: Final = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
_READ: Final = "SELECT pg_backend_pid(), " + ", ".join(f"current_setting('{name}')" for name in _LIMITS)

Pooling = Literal["none", "session", "transaction"]


@dataclass(frozen=True, slots=True)
class Sessions:
    """What two connections that are open at the same time see of their sessions."""

    pooling: Pooling
    limits: Mapping[str, str]
    """Timeouts of a session of ours by name; "0" is no limit."""


async def read_sessions(database_url: str) -> Sessions:
    """Open two connections as a worker does, and compare their sessions. Raises StorageUnavailable."""
    with translated_errors():
        one = await _connect(database_url)
        try:
            other = await _connect(database_url)
            try:
                first, second = await _read(one), await _read(other)
            finally:
                await other.close()
            known_as = one.get_server_pid()
        finally:
            await one.close()
    pid, *limits = first
    return Sessions(pooling_of(known_as, pid, second[0]), dict(zip(_LIMITS, limits, strict=True)))


async def _connect(database_url: str) -> asyncpg.Connection:
    return await connect_to_primary(
        database_url,
        timeout=CONNECT_TIMEOUT.total_seconds(),
        # a pooler that shares sessions mixes up the prepared statements of its clients
        statement_cache_size=0,
        server_settings=session_settings("analytics-doctor", {"statement_timeout": STATEMENT_TIMEOUT}),
    )


async def _read(connection: asyncpg.Connection) -> asyncpg.Record:
    async with connection.transaction():
        row = await connection.fetchrow(_READ)
    assert row is not None
    return row


def pooling_of(known_as: int, first: int, second: int) -> Pooling:
    """Return how the sessions of connections are pooled. Pure.

    `known_as` is the process id of the server that the first connection was told, `first` and `second` are those of
    two connections that are open at the same time.
    """
    if first == second:
        return "transaction"
    # a pooler tells its clients an id of its own, by which they may cancel a statement
    return "none" if known_as == first else "session"


def check_pooling(pooling: Pooling) -> Finding:
    """Check that no other connection uses the session of ours."""
    details = {
        "none": "connections lead to the server",
        "session": "a pooler is in between; each connection has its own session",
        "transaction": "a pooler gives the session of a connection to others",
    }
    return check(
        "postgres.pooler",
        pooling != "transaction",
        details[pooling],
        "let DATABASE_URL lead to the server, or pool sessions instead of transactions: with shared sessions two"
        " processes may lead maintenance, and prepared statements are mixed up",
    )


def check_limits(limits: Mapping[str, str]) -> Finding:
    """Check that the timeouts that our connections ask for are in force."""
    missing = [name for name, value in limits.items() if value == "0"]
    return check(
        "postgres.limits",
        not missing,
        f"not in force: {', '.join(missing)}" if missing else "timeouts are in force",
        "let the pooler pass on these settings of a connection, or set them for each login (ALTER ROLE .. SET): without"
        " them a frozen process holds its locks for ever",
    )
