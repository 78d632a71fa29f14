"""Reads dead letters, marks those that were redriven, and drops them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from storage.database.failures import translated_errors
from storage.database.pool import Connection, Pool
from storage.retention.horizon import fates_insert

_ID: Final = re.compile(r"(\d{1,4}):(\d+-\d+)")

_COLUMNS: Final = "stream_partition, entry_id, event_id, reason, detail, payload, parked_at, retried_at"

# $1: whether to include redriven letters; $2: reason; $3: since; $4 and $5: partitions and entries, NULL for all
_SELECTED: Final = """
    ($1::boolean OR retried_at IS NULL)
    AND ($2::text IS NULL OR reason = $2)
    AND ($3::timestamptz IS NULL OR parked_at >= $3)
    AND ($4::smallint[] IS NULL OR (stream_partition, entry_id) IN (SELECT * FROM unnest($4, $5::text[])))
"""

_COUNT: Final = f"SELECT count(*) FROM dead_letters WHERE {_SELECTED}"

_WAITING: Final = "SELECT reason, count(*) AS letters FROM dead_letters WHERE retried_at IS NULL GROUP BY reason"

_PAGE: Final = f"""
SELECT {_COLUMNS} FROM dead_letters
WHERE {_SELECTED}
  AND ($6::timestamptz IS NULL OR (parked_at, stream_partition, entry_id) > ($6, $7::smallint, $8::text))
ORDER BY parked_at, stream_partition, entry_id
LIMIT $9
"""

_MARK_RETRIED: Final = """
UPDATE dead_letters SET retried_at = now()
WHERE (stream_partition, entry_id) IN (SELECT * FROM unnest($1::smallint[], $2::text[]))
"""

# the books keep the entries as dead-lettered, so that a replay of the stream does not restore them
_DROP: Final = f"""
WITH dropped AS (DELETE FROM dead_letters WHERE {_SELECTED} RETURNING stream_partition, entry_id),
     recorded AS ({fates_insert("dropped", "dropped")})
SELECT count(*) FROM dropped
"""


class LetterId(NamedTuple):
    """The stream partition and the entry of a letter. As text: `0:1790000000000-0`."""

    partition: int
    entry_id: str

    @classmethod
    def parse(cls, text: str) -> LetterId:
        """Return the id with this text. Raises ValueError."""
        match = _ID.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not the id of a dead letter, such as 0:1790000000000-0")
        return cls(int(match[1]), match[2])

    def __str__(self) -> str:
        return f"{self.partition}:{self.entry_id}"


class Letter(NamedTuple):
    """One dead letter."""

    id: LetterId
    event_id: UUID | None
    reason: str
    detail: str
    payload: str
    """The fields of the entry that may be kept, see `schemas/dead_letter.py`."""
    parked_at: datetime
    retried_at: datetime | None
    """When its event was last appended to the stream again."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects the letters that meet every given condition."""

    ids: tuple[LetterId, ...] | None = None
    reason: str | None = None
    since: datetime | None = None
    with_retried: bool = False
    """Whether to include letters that were redriven."""

    def arguments(self) -> tuple[object, ...]:
        """Return the values of `$1` to `$5`."""
        return (
            self.with_retried,
            self.reason,
            self.since,
            *([None, None] if self.ids is None else _unzipped(self.ids)),
        )


async def count_letters(connection: Connection, selection: Selection) -> int:
    """Return the number of selected letters. Raises StorageUnavailable."""
    with translated_errors():
        count: int = await connection.fetchval(_COUNT, *selection.arguments())
    return count


async def count_waiting(pool: Pool | Connection) -> dict[str, int]:
    """Return the number of letters that were not redriven, by reason. Raises StorageUnavailable."""
    with translated_errors():
        rows = await pool.fetch(_WAITING)
    return {row["reason"]: row["letters"] for row in rows}


async def last_parked_at(pool: Pool | Connection) -> datetime | None:
    """Return when the newest letter was parked that was not redriven; None without one. Raises StorageUnavailable."""
    with translated_errors():
        moment: datetime | None = await pool.fetchval(
            "SELECT max(parked_at) FROM dead_letters WHERE retried_at IS NULL"
        )
    return moment


async def read_letters(
    connection: Connection, selection: Selection, limit: int, after: Letter | None = None
) -> list[Letter]:
    """Return up to `limit` selected letters parked after `after`, oldest first. Raises StorageUnavailable."""
    position = (None, None, None) if after is None else (after.parked_at, *after.id)
    with translated_errors():
        rows = await connection.fetch(_PAGE, *selection.arguments(), *position, limit)
    return [Letter(LetterId(row[0], row[1]), *row[2:]) for row in rows]


async def mark_retried(connection: Connection, ids: Sequence[LetterId]) -> None:
    """Record that the events of the letters were appended to the stream again now. Raises StorageUnavailable."""
    with translated_errors():
        await connection.execute(_MARK_RETRIED, *_unzipped(ids))


async def drop_letters(connection: Connection, selection: Selection) -> int:
    """Delete the selected letters; return their number. The books keep their entries as dead-lettered.

    Raises StorageUnavailable.
    """
    with translated_errors():
        dropped: int = await connection.fetchval(_DROP, *selection.arguments())
    return dropped


def _unzipped(ids: Sequence[LetterId]) -> tuple[list[int], list[str]]:
    return [each.partition for each in ids], [each.entry_id for each in ids]
