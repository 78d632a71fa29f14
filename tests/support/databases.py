"""Databases for tests: each test gets a copy of one migrated template."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg

from storage.database.migrate import upgrade


@contextmanager
def migrated_template(server_url: str) -> Iterator[str]:
    """Create a database at the newest revision for the block. Yields its name."""
    name = f"template_{uuid.uuid4().hex}"
    asyncio.run(_execute(server_url, f"CREATE DATABASE {name}"))
    try:
        asyncio.run(upgrade(url_of(server_url, name)))
        yield name
    finally:
        asyncio.run(_execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def database(server_url: str, template: str) -> Iterator[str]:
    """Create a copy of the template for the block, an empty database for `template0`. Yields its URL."""
    name = f"test_{uuid.uuid4().hex}"
    # half the time of the default, which also writes every page to the log
    asyncio.run(_execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"))
    try:
        yield url_of(server_url, name)
    finally:
        asyncio.run(_execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


def url_of(server_url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


async def _execute(server_url: str, statement: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
