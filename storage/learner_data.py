"""Everything the database holds on one learner."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from storage.failures import translated_errors
from storage.pool import Connection
from storage.rollups import RAW_EVENTS, RETIRED, ROLLUPS

_OF_LEARNERS: Final = tuple(
    name for rollup in ROLLUPS if rollup.is_of_learners for name in (rollup.table, f"{RETIRED}.{rollup.table}")
)
_LETTERS: Final = "dead_letters"
_AUDIT: Final = "audit_log"

# without `shown`, which names other learners
_AUDITED: Final = f"""
SELECT entry_id, at, actor, action, subject, span, outcome, keep_until FROM {_AUDIT}
WHERE subject = ANY ($1) OR shown && $1
"""


async def read_learner(connection: Connection, user_hashes: Sequence[bytes]) -> dict[str, list[dict[str, Any]]]:
    """Return the learner's rows of every table, all of one moment; ranges are dicts. Raises StorageUnavailable."""
    hashes = list(user_hashes)
    with translated_errors():
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            tables = {
                table: await connection.fetch(f"SELECT * FROM {table} WHERE user_hash = ANY ($1)", hashes)
                for table in (RAW_EVENTS, *_OF_LEARNERS)
            }
            tables[_AUDIT] = await connection.fetch(_AUDITED, hashes)
            tables[_LETTERS] = await connection.fetch(
                f"SELECT * FROM {_LETTERS} WHERE payload LIKE ANY ($1::text[])", [f"%{one.hex()}%" for one in hashes]
            )
    return {table: [_plain(row) for row in rows] for table, rows in tables.items()}


def _plain(row: asyncpg.Record) -> dict[str, Any]:
    return {
        name: [{"from": one.lower, "to": one.upper} if isinstance(one, asyncpg.Range) else one for one in value]
        if isinstance(value, list)
        else value
        for name, value in row.items()
    }


async def erased_at(connection: Connection, user_hashes: Sequence[bytes]) -> datetime | None:
    """Return since when the learner is erased, None when they are not. Raises StorageUnavailable."""
    with translated_errors():
        moment: datetime | None = await connection.fetchval(
            "SELECT min(erased_at) FROM erased_users WHERE user_hash = ANY ($1)", list(user_hashes)
        )
    return moment
