"""Brings a database to a revision of the schema."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

import migrations
from runtime.errors import ConfigurationError
from storage.pool import Connection


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["database_url"] = database_url
    return config


def head_revision() -> str:
    """Return the newest revision this code knows."""
    head = ScriptDirectory.from_config(_config("")).get_current_head()
    assert head is not None
    return head


async def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate up to `revision`. Safe to call from many processes: they take turns. Raises ConfigurationError."""
    await _migrate(command.upgrade, database_url, revision)


async def downgrade(database_url: str, revision: str) -> None:
    """Migrate down to `revision`, `base` for an empty database. Drops data. Raises ConfigurationError."""
    await _migrate(command.downgrade, database_url, revision)


async def _migrate(step: Callable[[Config, str], None], database_url: str, revision: str) -> None:
    try:
        await asyncio.to_thread(step, _config(database_url), revision)
    except CommandError as error:
        raise ConfigurationError(f"REVISION: {error}") from error


async def current_revision(database_url: str) -> str | None:
    """Return the revision the database is at, None when it was never migrated."""
    connection = await asyncpg.connect(database_url)
    try:
        return await revision_of(connection)
    finally:
        await connection.close()


async def revision_of(connection: Connection) -> str | None:
    """Return what `current_revision` does, of the database of a connection."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision
