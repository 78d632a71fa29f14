"""Reads the schema revision of a database and of this code, without Alembic, whose import is slow."""

from __future__ import annotations

from pathlib import Path

import migrations
from storage.database.pool import CONNECT_TIMEOUT, Connection
from storage.database.primary import connect_to_primary


def head_revision() -> str:
    """Return the newest revision of this code: the largest number that a file of `migrations/versions` begins with."""
    files = (Path(migrations.__file__).parent / "versions").glob("[0-9]*_*.py")
    return max(file.name.partition("_")[0] for file in files)


async def current_revision(database_url: str) -> str | None:
    """Return the revision of the database; None if it was never migrated. Raises errors of asyncpg."""
    connection = await connect_to_primary(database_url, timeout=CONNECT_TIMEOUT.total_seconds())
    try:
        return await revision_of(connection)
    finally:
        await connection.close()


async def revision_of(connection: Connection) -> str | None:
    """Return the revision of the connection's database; None if it was never migrated. Raises errors of asyncpg."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision
