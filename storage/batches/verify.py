"""Verifies on a live system that every aggregate equals a recomputation from the raw events.

A batch changes events and aggregates in one transaction. Any snapshot of the database is therefore consistent, and no
lock is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.batches.rollups import RAW_EVENTS, ROLLUPS, Rollup
from storage.database.failures import translated_errors
from storage.database.pool import Connection, Pool


@dataclass(frozen=True)
class TableDrift:
    """The difference between one aggregate table and its recomputation."""

    table: str
    rows: int
    """Number of rows of the recomputation."""
    missing: int
    """Rows of the recomputation that the table lacks, or has with other values."""
    unexpected: int
    """Rows of the table that the recomputation lacks, or has with other values."""

    @property
    def is_clean(self) -> bool:
        """Whether the table equals its recomputation."""
        return self.missing == 0 and self.unexpected == 0


@dataclass(frozen=True)
class Books:
    """The number of entries of one stream that were ever settled, by fate."""

    stored: int
    duplicate: int
    suppressed: int
    dead_lettered: int

    @property
    def settled(self) -> int:
        """Number of entries with a fate."""
        return self.stored + self.duplicate + self.suppressed + self.dead_lettered


async def verify_aggregates(
    connection: Connection, now: datetime, system_metrics_retention: timedelta
) -> list[TableDrift]:
    """Compare every aggregate with its recomputation in one snapshot.

    Reads every raw event. Blocks no writer. Raises StorageUnavailable.
    """
    cutoff = expiry_cutoff(now, system_metrics_retention)
    with translated_errors():
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return [await compare(connection, rollup, cutoff) for rollup in ROLLUPS]


async def read_books(connection: Connection | Pool) -> dict[int, Books]:
    """Return the books of each stream partition that has any. Raises StorageUnavailable."""
    with translated_errors():
        rows = await connection.fetch(
            "SELECT stream_partition, sum(stored)::bigint, sum(duplicate)::bigint, sum(suppressed)::bigint,"
            " sum(dead_lettered)::bigint FROM batch_books GROUP BY stream_partition"
        )
    return {row[0]: Books(*row[1:]) for row in rows}


def expiry_cutoff(now: datetime, retention: timedelta) -> datetime:
    """Return the full hour before which rows of the system metrics are removed."""
    return (now - retention).replace(minute=0, second=0, microsecond=0)


def unexpired(rollup: Rollup, query: str) -> str:
    """Return `query` without expired rows. If rows of the rollup expire, `$1` is the cutoff."""
    if rollup.expires is None:
        return query
    return f"SELECT * FROM ({query}) AS rows WHERE {rollup.expires} >= $1"


async def compare(
    connection: Connection, rollup: Rollup, cutoff: datetime, *, rows: str = "true", events: str = RAW_EVENTS
) -> TableDrift:
    """Compare the rows of a table for which the condition `rows` holds with their recomputation from `events`.

    Call it in a transaction with one snapshot. Raises errors of asyncpg.
    """
    [row] = await connection.fetch(
        f"WITH held AS MATERIALIZED ({_chosen(rollup, rollup.merged(rollup.table), rows)}),\n"
        f"truth AS MATERIALIZED ({_chosen(rollup, rollup.recomputed(events), rows)})\n"
        "SELECT (SELECT count(*) FROM truth) AS rows,\n"
        "(SELECT count(*) FROM (SELECT * FROM truth EXCEPT SELECT * FROM held) AS m) AS missing,\n"
        "(SELECT count(*) FROM (SELECT * FROM held EXCEPT SELECT * FROM truth) AS u) AS unexpected",
        *([cutoff] if rollup.expires else []),
    )
    return TableDrift(rollup.table, row["rows"], row["missing"], row["unexpected"])


def _chosen(rollup: Rollup, query: str, rows: str) -> str:
    return f"SELECT * FROM ({unexpired(rollup, query)}) AS chosen WHERE {rows}"
