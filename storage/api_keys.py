"""Records of issued API keys: service, scopes, limits, validity and the digest of the key. Never the key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from schemas.access import IssuedKey
from storage.database.failures import translated_errors
from storage.database.pool import Connection


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An issued key, valid or not."""

    key: IssuedKey
    created_at: datetime
    revoked_at: datetime | None


async def add_key(connection: Connection, key: IssuedKey) -> None:
    """Store a new key. Raises StorageUnavailable."""
    with translated_errors():
        await connection.execute(
            "INSERT INTO api_keys (key_id, digest, source, scopes, rate_limit_per_second, rate_limit_burst, expires_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            key.key_id,
            bytes.fromhex(key.digest),
            key.source,
            sorted(key.scopes),
            key.rate_limit_per_second,
            key.rate_limit_burst,
            key.expires_at,
        )


async def revoke_key(connection: Connection, key_id: str) -> bool:
    """Revoke a key permanently; return False if it is unknown or already revoked. Raises StorageUnavailable."""
    with translated_errors():
        revoked = await connection.fetchval(
            "UPDATE api_keys SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL RETURNING true", key_id
        )
    return bool(revoked)


async def list_keys(connection: Connection) -> list[KeyRecord]:
    """Return every key ever issued, oldest first. Raises StorageUnavailable."""
    with translated_errors():
        rows = await connection.fetch("SELECT * FROM api_keys ORDER BY created_at, key_id")
    return [KeyRecord(_key(row), row["created_at"], row["revoked_at"]) for row in rows]


async def keys_in_force(pool: asyncpg.Pool | Connection) -> list[IssuedKey]:
    """Return the keys that are neither revoked nor expired. Raises StorageUnavailable."""
    with translated_errors():
        rows = await pool.fetch(
            "SELECT * FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
            " ORDER BY key_id"
        )
    return [_key(row) for row in rows]


async def next_expiry(pool: asyncpg.Pool) -> datetime | None:
    """Return when the first of the keys in force expires; None if none does. Raises StorageUnavailable."""
    with translated_errors():
        moment: datetime | None = await pool.fetchval(
            "SELECT min(expires_at) FROM api_keys WHERE revoked_at IS NULL AND expires_at > now()"
        )
    return moment


def _key(row: asyncpg.Record) -> IssuedKey:
    return IssuedKey(
        key_id=row["key_id"],
        digest=row["digest"].hex(),
        source=row["source"],
        scopes=row["scopes"],
        rate_limit_per_second=row["rate_limit_per_second"],
        rate_limit_burst=row["rate_limit_burst"],
        expires_at=row["expires_at"],
    )
