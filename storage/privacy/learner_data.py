"""Reads all data of one learner from the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from storage.batches.rollups import RAW_EVENTS, RETIRED, ROLLUPS
from storage.database.failures import translated_errors
from storage.database.pool import Connection

PAGE: Final = 1_000
"""Maximum number of rows of one read."""

_KEYS: Final = {
    # the order of the index by learner
    RAW_EVENTS: ("occurred_at", "event_id"),
    **{
        f"{schema}{rollup.table}": tuple(column for column in rollup.key if column != "user_hash")
        for rollup in ROLLUPS
        if rollup.is_of_learners
        for schema in ("", f"{RETIRED}.")
    },
}
"""By table with pseudonyms: the columns that identify a row among those of one pseudonym."""

_LETTERS: Final = "dead_letters"
_AUDIT: Final = "audit_log"

# without `shown`, which names other learners
_AUDITED: Final = f"""
SELECT entry_id, at, actor, action, subject, span, outcome, keep_until FROM {_AUDIT}
WHERE (subject = ANY ($1) OR shown && $1) AND entry_id <= $2
"""


async def last_audit_entry(connection: Connection) -> int:
    """Return the id of the newest entry of the audit log; 0 if it is empty. Raises StorageUnavailable."""
    with translated_errors():
        entry: int = await connection.fetchval(f"SELECT coalesce(max(entry_id), 0) FROM {_AUDIT}")
    return entry


async def learner_pages(
    connection: Connection, user_hashes: Sequence[bytes], last_audited: int
) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the table and up to `PAGE` rows of the learner, for each table at least once.

    Ranges become dicts. Of the audit log, only entries up to the id `last_audited` are read. Each page is a snapshot of
    its own, and no transaction is open while the caller processes a page. Raises StorageUnavailable.
    """
    hashes = list(user_hashes)
    for table, key in _KEYS.items():
        for user_hash in hashes:
            async for rows in _pages(connection, f"SELECT * FROM {table} WHERE user_hash = $1", (user_hash,), key):
                yield table, rows
    async for rows in _pages(connection, _AUDITED, (hashes, last_audited), ("entry_id",)):
        yield _AUDIT, rows
    letters = f"SELECT * FROM {_LETTERS} WHERE payload LIKE ANY ($1::text[])"
    in_text = [f"%{one.hex()}%" for one in hashes]
    async for rows in _pages(connection, letters, (in_text,), ("stream_partition", "entry_id")):
        yield _LETTERS, rows


async def _pages(
    connection: Connection, select: str, arguments: Sequence[object], key: Sequence[str]
) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the rows of a SELECT that ends in a condition, in pages ordered by its key."""
    columns = ", ".join(key)
    order = f" ORDER BY {columns} LIMIT {PAGE}" if key else ""
    places = [f"${number}" for number in range(len(arguments) + 1, len(arguments) + len(key) + 1)]
    after = f" AND ({columns}) > ({', '.join(places)})"
    rows = await _fetch(connection, f"{select}{order}", *arguments)
    while True:
        yield [_plain(row) for row in rows]
        if not key or len(rows) < PAGE:
            return
        rows = await _fetch(connection, f"{select}{after}{order}", *arguments, *(rows[-1][column] for column in key))


async def _fetch(connection: Connection, statement: str, *arguments: object) -> list[asyncpg.Record]:
    with translated_errors():
        return await connection.fetch(statement, *arguments)


def _plain(row: asyncpg.Record) -> dict[str, Any]:
    return {
        name: [{"from": one.lower, "to": one.upper} if isinstance(one, asyncpg.Range) else one for one in value]
        if isinstance(value, list)
        else value
        for name, value in row.items()
    }


async def erased_at(connection: Connection, user_hashes: Sequence[bytes]) -> datetime | None:
    """Return when the learner was erased; None if not erased. Raises StorageUnavailable."""
    with translated_errors():
        moment: datetime | None = await connection.fetchval(
            "SELECT min(erased_at) FROM erased_users WHERE user_hash = ANY ($1)", list(user_hashes)
        )
    return moment
