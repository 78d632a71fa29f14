"""Connections of one term of leadership: handed out only while the term lasts, and waited for a limited time."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import asyncpg

from runtime.errors import StorageUnavailable
from storage.database.pool import (
    CONNECT_TIMEOUT,
    Connection,
    MeasuredAcquisition,
    MeasuredPool,
    end_if_read_only,
    session_settings,
)
from storage.database.primary import connect_to_primary


class FencedPool(MeasuredPool):
    """A pool of one epoch. A connection that is asked for after the next epoch began is refused.

    `acquire` and every method that uses it raise StorageUnavailable when the epoch is over, and TimeoutError when no
    connection is free within the longest wait.
    """

    def __init__(
        self,
        database_url: str,
        *,
        name: str,
        epoch: int,
        size: int,
        application_name: str,
        statement_timeout: timedelta,
        longest_wait: timedelta,
    ) -> None:
        super().__init__(
            database_url,
            name=name,
            min_size=0,
            max_size=size,
            connect=partial(connect_to_primary, read_only=False),
            setup=self._check_epoch,
            reset=_reset,
            timeout=CONNECT_TIMEOUT.total_seconds(),
            command_timeout=(statement_timeout + timedelta(seconds=5)).total_seconds(),
            server_settings=session_settings(application_name, {"statement_timeout": statement_timeout}),
        )
        self._epoch = epoch
        self._wait_seconds = longest_wait.total_seconds()

    def acquire(self, *, timeout: float | None = None) -> MeasuredAcquisition:
        """Return a context that acquires a connection, within the longest wait unless `timeout` is given."""
        return super().acquire(timeout=self._wait_seconds if timeout is None else timeout)

    async def _check_epoch(self, connection: Connection) -> None:
        if await connection.fetchval("SELECT epoch FROM maintenance_epoch") != self._epoch:
            raise StorageUnavailable("leadership_lost", "another maintenance process leads")


async def _reset(connection: asyncpg.Connection) -> None:
    end_if_read_only(connection)
    if not connection.is_closed():
        await connection.reset()
