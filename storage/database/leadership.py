"""Elects one leader among all maintenance processes, and keeps former leaders from writing.

An advisory lock elects. It ends with its session, which Postgres ends after 15 s without a confirmation: the process is
frozen, or its host stalled. Each term of leadership has a number, its epoch. Every connection of a term is fenced: it
is handed out only while its epoch is the current one, and before a leader begins, it ends the sessions of earlier
terms. So a former leader that wakes up writes nothing to Postgres, neither in a transaction nor outside of one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final, NamedTuple

import asyncpg

from runtime.errors import StorageUnavailable
from storage.database.failures import translated_errors
from storage.database.fenced_pool import FencedPool
from storage.database.locks import LEADER_LOCK, LEADER_LOCK_ROW
from storage.database.pool import CONNECT_TIMEOUT, Connection, session_settings
from storage.database.primary import connect_to_primary, refuses_writes

SILENCE: Final = timedelta(seconds=15)
"""Without a confirmation for this time, the leader loses its lock."""

_NAME: Final = "analytics-maintenance"
_CONFIRM_SECONDS: Final = 5.0
_END_SECONDS: Final = 5.0

SHORT_CONNECTIONS: Final = 3
LONG_CONNECTIONS: Final = 4
TERM_CONNECTIONS: Final = 1 + SHORT_CONNECTIONS + LONG_CONNECTIONS
"""Maximum connections of a term, with the one that holds the lock."""

_SHORT_STATEMENT: Final = timedelta(minutes=5)
_LONG_STATEMENT: Final = timedelta(minutes=30)
_SHORT_WAIT: Final = timedelta(seconds=30)

# behind a pooler that gives each transaction another session, the lock would belong to a session of other clients
_HOLDS: Final = f"""
SELECT EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND {LEADER_LOCK_ROW})
"""

_BEGIN: Final = "UPDATE maintenance_epoch SET epoch = epoch + 1, began_at = now() RETURNING epoch"

_EARLIER: Final = f"""
FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE '{_NAME}/%' AND application_name <> $1
"""
_END_EARLIER: Final = f"SELECT pg_terminate_backend(pid, {_END_SECONDS * 1000:.0f}) {_EARLIER}"
_COUNT_EARLIER: Final = f"SELECT count(*) {_EARLIER}"


class TermPools(NamedTuple):
    """The fenced connections of a term."""

    short: asyncpg.Pool
    """Reserved for chores that hold a connection for moments, so that they never wait for the others."""
    long: asyncpg.Pool
    """For chores that may keep a connection for hours."""


class Leadership:
    """A term: the right to run maintenance. It ends with the session that holds the lock."""

    def __init__(self, connection: Connection, epoch: int) -> None:
        self._connection = connection
        self.epoch = epoch
        """Number of the term; a later one is higher."""

    async def confirm(self) -> None:
        """Check that the session still holds the lock, on a server that accepts writes.

        Call it more often than every `SILENCE`. Raises StorageUnavailable when leadership is lost.
        """
        with translated_errors():
            await _check_lock(self._connection)


@contextlib.asynccontextmanager
async def leadership(database_url: str) -> AsyncIterator[Leadership | None]:
    """Yield a term for the block, or None if another process leads.

    Waits for the end of sessions of earlier terms, seconds at most. Raises StorageUnavailable.
    """
    with translated_errors():
        connection = await connect_to_primary(
            database_url,
            timeout=CONNECT_TIMEOUT.total_seconds(),
            server_settings=session_settings(_NAME, {"idle_session_timeout": SILENCE}),
        )
    try:
        yield await begin_term(connection)
    finally:
        # ends the session, and the lock with it
        with translated_errors():
            await connection.close(timeout=_END_SECONDS)


async def begin_term(connection: Connection) -> Leadership | None:
    """Take the lock and begin a term; None if another session has the lock. Raises StorageUnavailable."""
    with translated_errors():
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEADER_LOCK):
            return None
        await _check_lock(connection)
        epoch: int = await connection.fetchval(_BEGIN)
        await connection.execute(_END_EARLIER, _name_of(epoch))
        if await connection.fetchval(_COUNT_EARLIER, _name_of(epoch)):
            raise StorageUnavailable("former_leader", "a session of the former leader does not end")
    return Leadership(connection, epoch)


@contextlib.asynccontextmanager
async def term_pools(database_url: str, epoch: int) -> AsyncIterator[TermPools]:
    """Open the connections of a term for the block. They connect on first use."""
    pools = TermPools(
        _pool(database_url, "short", epoch, SHORT_CONNECTIONS, _SHORT_STATEMENT, _SHORT_WAIT),
        _pool(database_url, "long", epoch, LONG_CONNECTIONS, _LONG_STATEMENT, _LONG_STATEMENT),
    )
    try:
        for pool in pools:
            await pool
        yield pools
    finally:
        for pool in pools:
            # cut off after a while: the server may be out of reach
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), _END_SECONDS)


def _pool(
    database_url: str, kind: str, epoch: int, size: int, statement_timeout: timedelta, wait: timedelta
) -> FencedPool:
    return FencedPool(
        database_url,
        name=f"{_NAME}-{kind}",
        epoch=epoch,
        size=size,
        application_name=_name_of(epoch),
        statement_timeout=statement_timeout,
        longest_wait=wait,
    )


def _name_of(epoch: int) -> str:
    return f"{_NAME}/{epoch}"


async def _check_lock(connection: Connection) -> None:
    if not await connection.fetchval(_HOLDS, timeout=_CONFIRM_SECONDS):
        raise StorageUnavailable("leadership_lost", "this session lacks the lock: is there a pooler before Postgres?")
    if refuses_writes(connection):
        raise StorageUnavailable("read_only", "another server has become the primary")
