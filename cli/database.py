"""Database connections of commands. Unlike services, a command checks the schema revision once, when it connects."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from runtime.errors import StorageUnavailable
from runtime.settings import Settings
from storage.database.failures import translated_errors
from storage.database.pool import Connection, connect
from storage.database.revision import head_revision, revision_of


@contextlib.asynccontextmanager
async def open_database(settings: Settings, application_name: str) -> AsyncIterator[Connection]:
    """Open one connection for the block. Raises StorageUnavailable, also when the schema is of another release."""
    connection = await connect(settings.database_dsn, application_name=application_name)
    try:
        await require_current_schema(connection)
        yield connection
    finally:
        await connection.close()


async def require_current_schema(connection: Connection) -> None:
    """Raise StorageUnavailable unless the schema is of this release."""
    head = head_revision()
    with translated_errors():
        current = await revision_of(connection)
    if current is None or current < head:
        state = f"the database is at revision {current}" if current else "the database was never migrated"
        raise StorageUnavailable("old_schema", f"{state}, this release needs {head}: run `analytics migrate up`")
    if current > head:
        raise StorageUnavailable(
            "new_schema", f"the database is at revision {current}, this release knows {head}: use the newer release"
        )
