"""The audit log: who read or changed data about people, and the outcome. Never the content.

The database keeps it append-only: it refuses every UPDATE and TRUNCATE, and every DELETE of a row before its
`keep_until`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from storage.database.failures import translated_errors
from storage.database.pool import Connection

EVERYBODY: Final = "everybody"
"""Value of `about` in a span if events of all learners were shown and the learners are not listed."""

# one statement for any number of entries; their ids have the order of the arrays
_APPEND: Final = """
INSERT INTO audit_log (at, actor, action, subject, span, outcome, shown, keep_until)
SELECT at, actor, action, subject, span::jsonb, outcome, shown::bytea[], at + $8::interval
FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[])
     AS entry (at, actor, action, subject, span, outcome, shown)
"""

_READ: Final = f"""
SELECT at, actor, action, outcome, subject, span, shown FROM audit_log
WHERE at >= $1
  AND ($2::bytea[] IS NULL OR subject = ANY ($2) OR shown && $2 OR subject IS NULL AND span ->> 'about' = '{EVERYBODY}')
ORDER BY at DESC, entry_id DESC LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One access to data about people, or one refused attempt."""

    at: datetime
    actor: str
    """`key:<id>`, `service:<name>`, `learner:<pseudonym>` or `operator:<account>`."""
    action: str
    """Method and template of an endpoint, or a command."""
    outcome: str
    """HTTP status of an answer; `done` or `failed` for a command."""
    subject: bytes | None = None
    """Pseudonym of the learner whom the access concerned."""
    span: Mapping[str, str] | None = None
    """Extent of the request: parsed values of bounded length."""
    shown: Sequence[bytes] = ()
    """Pseudonyms of other learners whose events were shown."""


async def append_entries(pool: asyncpg.Pool | Connection, entries: Sequence[AuditEntry], retention: timedelta) -> None:
    """Return once the entries are durable. Raises StorageUnavailable."""
    with translated_errors():
        await pool.execute(
            _APPEND,
            [entry.at for entry in entries],
            [entry.actor for entry in entries],
            [entry.action for entry in entries],
            [entry.subject for entry in entries],
            [json.dumps(entry.span) if entry.span else None for entry in entries],
            [entry.outcome for entry in entries],
            [_array(entry.shown) if entry.shown else None for entry in entries],
            retention,
        )


async def read_entries(
    connection: Connection, since: datetime, subjects: Sequence[bytes] | None, limit: int
) -> list[AuditEntry]:
    """Return up to `limit` entries since a time, newest first.

    If `subjects` holds the pseudonyms of a learner, only entries about this learner are returned: those that name the
    learner, showed events of the learner, or showed events of all learners. Raises StorageUnavailable.
    """
    with translated_errors():
        rows = await connection.fetch(_READ, since, None if subjects is None else list(subjects), limit)
    return [_entry(row) for row in rows]


def _entry(row: asyncpg.Record) -> AuditEntry:
    facts = dict(row)
    span, shown = facts["span"], facts["shown"]
    return AuditEntry(**{**facts, "span": json.loads(span) if span else None, "shown": shown or ()})


def _array(values: Sequence[bytes]) -> str:
    # as text: a two-dimensional array cannot have rows of different lengths
    quoted = ",".join(rf'"\\x{value.hex()}"' for value in values)
    return f"{{{quoted}}}"
