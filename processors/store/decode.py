"""Decodes stream entries into events and dead letters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from schemas.dead_letter import scrub
from schemas.entry import MalformedEntry, read_row
from schemas.identifiers import RESERVED_FLOOR, milliseconds_of, unix_milliseconds
from storage.batches.batch import DeadLetter, ReceivedEvent
from storage.retention.partition_weeks import AHEAD, GRACE
from stream.entries.entry import Entry

_RESERVED: Final = str(RESERVED_FLOOR)[:4]


class StorableRange(NamedTuple):
    """The times of UUIDv7 keys for which a partition is kept, in Unix milliseconds."""

    lowest: int
    highest: int

    @classmethod
    def around(cls, now: datetime, raw_retention: timedelta) -> StorableRange:
        """Return the range at `now`."""
        lowest = now - raw_retention - GRACE
        return cls(unix_milliseconds(lowest), unix_milliseconds(now + AHEAD - timedelta(weeks=1)))

    def holds(self, event_id: str) -> bool:
        """Whether a partition exists for this key."""
        return event_id.startswith(_RESERVED) or self.lowest <= milliseconds_of(event_id) <= self.highest


def decode_entries(entries: Sequence[Entry], storable: StorableRange) -> tuple[list[ReceivedEvent], list[DeadLetter]]:
    """Return the event of each entry that holds a valid one, and a dead letter for every other entry."""
    events: list[ReceivedEvent] = []
    letters: list[DeadLetter] = []
    for entry in entries:
        try:
            event = ReceivedEvent(entry.id, read_row(entry.fields))
        except MalformedEntry as error:
            letters.append(dead_letter(entry, error.reason, error.detail))
            continue
        if storable.holds(event.event_id):
            events.append(event)
        else:
            detail = "the time in the event id is outside the stored range"
            letters.append(dead_letter(entry, "event_id_time_out_of_range", detail, UUID(event.event_id)))
    return events, letters


def dead_letter(entry: Entry, reason: str, detail: str, event_id: UUID | None = None) -> DeadLetter:
    """Return the dead letter of an entry, with the fields that may be kept."""
    return DeadLetter(entry.id, reason, detail, scrub(entry.fields), event_id)
