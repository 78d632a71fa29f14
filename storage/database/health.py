"""Health check of Postgres."""

from __future__ import annotations

import asyncpg

from storage.database.failures import translated_errors


async def ping(pool: asyncpg.Pool) -> str:
    """Return the server's version. Raises StorageUnavailable."""
    with translated_errors():
        version: str = await pool.fetchval("SHOW server_version", timeout=2)
    return f"PostgreSQL {version}"
