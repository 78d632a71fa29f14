"""Recognises events that the previous release stored under ids that it mapped without their source.

Such an event and the same event under its current id are one event. Each id can be computed from the other and the
source (`schemas/identifiers.py`), so a batch looks for both. It does so while the table `unscoped_event_ids` has its
row: from the migration until the last raw event of the previous release has been removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from schemas.entry import unpack
from schemas.identifiers import RESERVED_FLOOR, counterpart
from storage.batches.batch import ReceivedEvent
from storage.database.pool import Connection

_RESERVED: Final = str(RESERVED_FLOOR)[:4]

_LEAVING: Final = """
SELECT event_id, source FROM {relation} JOIN unscoped_event_ids AS release_before ON received_at < release_before.until
"""

_RECORD: Final = "INSERT INTO retired_event_ids SELECT unnest($1::uuid[]) AS id ORDER BY id ON CONFLICT DO NOTHING"

_END: Final = "DELETE FROM unscoped_event_ids WHERE until < $1"


def counterparts(events: Sequence[ReceivedEvent]) -> tuple[list[str], list[UUID]]:
    """Return the entries whose events have mapped ids, and the other id that each event may be stored under."""
    mapped = [one for one in events if one.event_id.startswith(_RESERVED)]
    ids = [counterpart(UUID(one.event_id), unpack(one.row).source) for one in mapped]
    return [one.entry_id for one in mapped], ids


async def record_counterparts(connection: Connection, relation: str) -> None:
    """Store the other ids of removed events as well. Call it in the transaction that removes the events."""
    leaving = await connection.fetch(_LEAVING.format(relation=relation))
    if leaving:
        await connection.execute(_RECORD, [counterpart(row["event_id"], row["source"]) for row in leaving])


async def end_search(connection: Connection, removed_before: datetime) -> None:
    """End the search for the other ids if the previous release stored nothing that was received since `removed_before`.

    All raw events that were received before then must have been removed.
    """
    await connection.execute(_END, removed_before)
