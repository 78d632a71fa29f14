"""The retention horizon: the time before which raw events were removed, or are being removed. It never moves back.

No event from before it is accepted as new.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from storage.database.failures import translated_errors
from storage.database.locks import BATCH_LOCK
from storage.database.pool import Connection

# only entries that the stream may deliver again: those from the oldest entry that it last had
_INSERT_FATES: Final = """
INSERT INTO settled_entries (stream_partition, entry_id, outcome)
SELECT stream_partition, entry_id, '{outcome}'
FROM {relation} LEFT JOIN stream_positions USING (stream_partition)
WHERE split_part(entry_id, '-', 1)::bigint >= coalesce(split_part(first_entry_id, '-', 1)::bigint, 0)
ORDER BY 1, 2
ON CONFLICT DO NOTHING
"""

_RAISE: Final = "UPDATE retention_horizon SET ordered_before = greatest(ordered_before, $1)"

_RECORD_IDS: Final = """
INSERT INTO retired_event_ids SELECT event_id FROM {relation} ORDER BY event_id ON CONFLICT DO NOTHING
"""

# an empty week that expires moves the horizon too; every removed event is counted by its hour
_HAS_REMOVED: Final = """
SELECT EXISTS (SELECT FROM retired.hourly_event_counts, retention_horizon WHERE hour < ordered_before)
"""


def fates_insert(relation: str, outcome: str) -> str:
    """Return the statement that stores the fate of the entries of `relation`, whose rows will be removed.

    A redelivery or a replay of an entry is then recognised without its row. Entries that the stream has trimmed are
    left out: they cannot be delivered again.
    """
    return _INSERT_FATES.format(relation=relation, outcome=outcome)


async def raise_horizon(connection: Connection, end_of_week: datetime) -> None:
    """Accept no earlier UUIDv7 as new from now on. Waits for the batches that are being written."""
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({BATCH_LOCK})")
        await connection.execute(_RAISE, end_of_week)


async def record_mapped_ids(connection: Connection, relation: str) -> None:
    """Store the ids of removed events that carry no time. Call it in the transaction that removes the events."""
    await connection.execute(_RECORD_IDS.format(relation=relation))


async def read_horizon(connection: Connection) -> datetime:
    """Return the end of the last week that was removed, or is being removed, even if it was empty; 1970 if none was.

    Raises StorageUnavailable.
    """
    with translated_errors():
        moment: datetime = await connection.fetchval("SELECT ordered_before FROM retention_horizon")
    return moment


async def has_removed(connection: Connection) -> bool:
    """Return whether any raw event from before the horizon was removed. Raises StorageUnavailable."""
    with translated_errors():
        removed: bool = await connection.fetchval(_HAS_REMOVED)
    return removed
