"""Lists what the database holds, about whom and for how long, and rows that are kept too long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from storage.batches.rollups import RAW_EVENTS, RETIRED, ROLLUPS
from storage.batches.verify import expiry_cutoff
from storage.database.failures import translated_errors
from storage.database.pool import Connection
from storage.retention.partition_weeks import GRACE

About = Literal["one learner", "the platform", "the stream", "the erased"]

_PARTITION: Final = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class Retentions:
    """Retention by kind of row."""

    raw: timedelta
    system_metrics: timedelta
    stream: timedelta
    audit: timedelta


@dataclass(frozen=True, slots=True)
class Holding:
    """One table."""

    table: str
    about: About
    kept: timedelta | None
    """Retention; None: kept permanently."""
    rows: int
    overdue: int
    """Number of rows past their retention: maintenance does not run, or fails."""


async def read_holdings(connection: Connection, retentions: Retentions, now: datetime) -> list[Holding]:
    """Return every table with data from senders. Counts every row. Raises StorageUnavailable."""
    raw = retentions.raw + GRACE + _PARTITION
    plan: list[tuple[str, About, timedelta | None, str | None, datetime | None]] = [
        (RAW_EVENTS, "one learner", raw, "received_at", now - raw),
        ("dead_letters", "one learner", retentions.raw, "parked_at", now - retentions.raw),
        ("event_id_conflicts", "the platform", retentions.raw, "book_date", now - retentions.raw),
        ("settled_entries", "the stream", 2 * retentions.stream, "settled_at", now - 2 * retentions.stream),
        *(
            (
                f"{schema}{rollup.table}",
                "one learner" if rollup.is_of_learners else "the platform",
                retentions.system_metrics if rollup.expires else None,
                rollup.expires,
                expiry_cutoff(now, retentions.system_metrics) if rollup.expires else None,
            )
            for rollup in ROLLUPS
            for schema in ("", f"{RETIRED}.")
        ),
        *((table, "the stream", None, None, None) for table in ("batch_books", "stream_positions", "stream_losses")),
        *(
            (table, "the platform", None, None, None)
            for table in ("retention_horizon", "retired_event_ids", "unscoped_event_ids")
        ),
        ("audit_log", "one learner", retentions.audit, "keep_until", now),
        ("api_keys", "the platform", None, None, None),
        ("erased_users", "the erased", None, None, None),
        ("erasure_jobs", "the erased", None, None, None),
        ("erasure_residue", "the platform", None, None, None),
        ("erasure_sweeps", "the erased", None, None, None),
        ("hourly_summary", "the platform", None, None, None),
    ]
    holdings = []
    with translated_errors():
        for table, about, kept, column, cutoff in plan:
            rows = await connection.fetchval(f"SELECT count(*) FROM {table}")
            # maintenance runs once an hour, so rows are overdue only after a margin of two hours
            overdue = (
                await connection.fetchval(
                    f"SELECT count(*) FROM {table} WHERE {column} < $1::timestamptz - interval '2 hours'", cutoff
                )
                if column
                else 0
            )
            holdings.append(Holding(table, about, kept, rows, overdue))
    return holdings
