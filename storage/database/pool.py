"""Connections to Postgres."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

import asyncpg

from runtime.settings import STATEMENT_TIMEOUT
from storage.database.failures import translated_errors
from storage.database.primary import connect_to_primary, refuses_writes
from telemetry import metrics
from telemetry.labels import PoolState

Pool = asyncpg.Pool
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

CONNECT_TIMEOUT: Final = timedelta(seconds=5)

_LIMITS: Final[dict[str, timedelta]] = {
    "lock_timeout": timedelta(seconds=5),
    # bounds how long a frozen worker can hold its locks
    "idle_in_transaction_session_timeout": timedelta(seconds=30),
}


async def open_pool(
    database_url: str,
    *,
    size: int,
    application_name: str,
    statement_timeout: timedelta = STATEMENT_TIMEOUT,
    read_only: bool = False,
    lazy: bool = False,
    same_statements: bool = False,
) -> asyncpg.Pool:
    """Open a pool of at most `size` connections, all in UTC and with timeouts. Raises StorageUnavailable.

    Connections lead to the primary. One whose server begins to refuse writes is closed when it is released, so that the
    next use reaches the server that has taken over.

    A `lazy` pool connects on first use, so that its process can start while the database is unreachable. A pool with
    `same_statements` plans each statement once per connection, whatever its arguments, and does not reset connections
    between uses. Use it only for a fixed set of statements that leave no session state.
    """
    settings = session_settings(application_name, {"statement_timeout": statement_timeout})
    if read_only:
        settings["default_transaction_read_only"] = "on"
    if same_statements:
        settings["plan_cache_mode"] = "force_generic_plan"

    async def reset(connection: asyncpg.Connection) -> None:
        if not read_only:
            end_if_read_only(connection)
        if not same_statements and not connection.is_closed():
            await connection.reset()

    with translated_errors():
        pool = MeasuredPool(
            database_url,
            name=application_name,
            min_size=0 if lazy else 1,
            max_size=size,
            timeout=CONNECT_TIMEOUT.total_seconds(),
            command_timeout=(statement_timeout + timedelta(seconds=5)).total_seconds(),
            server_settings=settings,
            connect=partial(connect_to_primary, read_only=read_only),
            reset=reset,
        )
        return await pool


class MeasuredPool(asyncpg.Pool):
    """Exports its connections, and how long calls wait for one. It replaces an earlier pool of its name."""

    def __init__(self, database_url: str, *, name: str, **options: Any) -> None:
        # the defaults of asyncpg.create_pool, which cannot make a subclass
        super().__init__(
            database_url,
            max_queries=50_000,
            max_inactive_connection_lifetime=300.0,
            loop=None,
            connection_class=asyncpg.Connection,
            record_class=asyncpg.Record,
            **options,
        )
        metrics.POOL_CONNECTIONS.labels(name, PoolState.IDLE).set_function(self.get_idle_size)
        metrics.POOL_CONNECTIONS.labels(name, PoolState.USED).set_function(
            lambda: self.get_size() - self.get_idle_size()
        )
        self.record_wait = metrics.POOL_WAIT.labels(name).observe

    def acquire(self, *, timeout: float | None = None) -> MeasuredAcquisition:
        """Return a context that acquires a connection."""
        return MeasuredAcquisition(self, timeout)


class MeasuredAcquisition(asyncpg.pool.PoolAcquireContext):
    """Acquires a connection, and measures how long that takes."""

    def __init__(self, pool: MeasuredPool, timeout: float | None) -> None:
        super().__init__(pool, timeout)
        self._record_wait = pool.record_wait

    async def __aenter__(self) -> Any:
        started = time.perf_counter()
        try:
            return await super().__aenter__()
        finally:
            self._record_wait(time.perf_counter() - started)


def session_settings(application_name: str, limits: Mapping[str, timedelta]) -> dict[str, str]:
    """Return the settings of a session of a process, with the usual limits and `limits`, by name of the setting."""
    milliseconds = {name: str(limit // timedelta(milliseconds=1)) for name, limit in {**_LIMITS, **limits}.items()}
    return milliseconds | {"application_name": application_name, "timezone": "UTC", "jit": "off"}


def end_if_read_only(connection: asyncpg.Connection) -> None:
    """Close a connection whose server has begun to refuse writes."""
    if refuses_writes(connection):
        connection.terminate()


async def connect(database_url: str, *, application_name: str) -> asyncpg.Connection:
    """Open one connection to the primary without timeouts, for work that reads whole tables.

    Raises StorageUnavailable.
    """
    with translated_errors():
        return await connect_to_primary(
            database_url,
            timeout=CONNECT_TIMEOUT.total_seconds(),
            server_settings={
                "application_name": application_name,
                "timezone": "UTC",
                "jit": "off",
                "work_mem": "128MB",
            },
        )
