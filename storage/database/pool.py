"""Connections to Postgres."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import asyncpg

from runtime.settings import STATEMENT_TIMEOUT
from storage.database.failures import translated_errors

Pool = asyncpg.Pool
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

CONNECT_TIMEOUT: Final = timedelta(seconds=5)

_LIMITS: Final = {
    "lock_timeout": timedelta(seconds=5),
    # A frozen worker must not hold its locks for longer than this.
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
    """Open a pool of at most `size` connections, all in UTC and with time limits. Raises StorageUnavailable.

    A `lazy` pool connects when it is first used, so that its process starts while the database is away. One for the
    `same_statements` again and again, each alone and best planned alike whatever its arguments, plans each once a
    connection, and hands connections on as they are: nothing is left on them to clean up.
    """
    limits = _LIMITS | {"statement_timeout": statement_timeout}
    server_settings = {name: str(limit // timedelta(milliseconds=1)) for name, limit in limits.items()}
    server_settings |= {
        "application_name": application_name,
        "timezone": "UTC",
        "jit": "off",
    }
    if read_only:
        server_settings["default_transaction_read_only"] = "on"
    if same_statements:
        server_settings["plan_cache_mode"] = "force_generic_plan"
    with translated_errors():
        return await asyncpg.create_pool(
            database_url,
            min_size=0 if lazy else 1,
            max_size=size,
            timeout=CONNECT_TIMEOUT.total_seconds(),
            command_timeout=(statement_timeout + timedelta(seconds=5)).total_seconds(),
            server_settings=server_settings,
            reset=_as_it_is if same_statements else None,
        )


async def _as_it_is(_connection: asyncpg.Connection) -> None:
    pass


async def connect(database_url: str, *, application_name: str) -> asyncpg.Connection:
    """Open one connection without time limits, for work that reads whole tables. Raises StorageUnavailable."""
    with translated_errors():
        return await asyncpg.connect(
            database_url,
            timeout=CONNECT_TIMEOUT.total_seconds(),
            server_settings={
                "application_name": application_name,
                "timezone": "UTC",
                "jit": "off",
                "work_mem": "128MB",
            },
        )
