"""The database as commands use it: at the revision of this release, which services check by themselves as they work."""

from __future__ import annotations

from runtime.errors import StorageUnavailable
from storage.database.failures import translated_errors
from storage.database.pool import Connection
from storage.database.pool import connect as connect_to_server
from storage.database.revision import head_revision, revision_of


async def connect(database_url: str, *, application_name: str) -> Connection:
    """Open one connection. Raises StorageUnavailable, also when the schema is of another release."""
    connection = await connect_to_server(database_url, application_name=application_name)
    try:
        await require_this_revision(connection)
    except StorageUnavailable:
        await connection.close()
        raise
    return connection


async def require_this_revision(connection: Connection) -> None:
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
