"""Elects one leader among all maintenance processes, by an advisory lock that ends with its connection."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import asyncpg

from runtime.errors import StorageUnavailable
from storage.database.failures import translated_errors
from storage.database.pool import Connection
from storage.database.primary import refuses_writes

LEADER_LOCK: Final = 7_205_759_403_792_793_603


class Leadership:
    """The right to run maintenance. It ends with the connection that holds the lock."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def confirm(self) -> None:
        """Check that the connection is open, to a server that accepts writes.

        Raises StorageUnavailable when leadership is lost.
        """
        with translated_errors():
            await self._connection.fetchval("SELECT 1")
        if refuses_writes(self._connection):
            raise StorageUnavailable("read_only", "another server has become the primary")


@contextlib.asynccontextmanager
async def leadership(pool: asyncpg.Pool) -> AsyncIterator[Leadership | None]:
    """Yield leadership for the block, or None if another process has it. Does not wait. Raises StorageUnavailable."""
    with translated_errors():
        async with pool.acquire() as connection:
            locked = await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEADER_LOCK)
            if not locked or refuses_writes(connection):
                # the pool closes a connection that refuses writes, which also releases its lock
                yield None
                return
            try:
                yield Leadership(connection)
            finally:
                if not connection.is_closed():
                    await connection.fetchval("SELECT pg_advisory_unlock($1)", LEADER_LOCK)
