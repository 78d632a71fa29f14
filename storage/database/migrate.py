"""Migrates a database to a revision of the schema."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

import migrations
from runtime.errors import ConfigurationError
from storage.database.pool import CONNECT_TIMEOUT
from storage.database.primary import connect_to_primary


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connect"] = partial(connect_to_primary, database_url, timeout=CONNECT_TIMEOUT.total_seconds())
    return config


async def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate up to `revision`. Concurrent calls, also of other processes, take turns. Raises ConfigurationError."""
    await _migrate(command.upgrade, database_url, revision)


async def downgrade(database_url: str, revision: str) -> None:
    """Migrate down to `revision`; `base` leaves an empty database. Drops data. Raises ConfigurationError."""
    await _migrate(command.downgrade, database_url, revision)


async def _migrate(step: Callable[[Config, str], None], database_url: str, revision: str) -> None:
    try:
        await asyncio.to_thread(step, _config(database_url), revision)
    except CommandError as error:
        raise ConfigurationError(f"REVISION: {error}") from error
