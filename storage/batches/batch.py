"""The parts of a batch, and the counts of its result. Pure."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID


class ReceivedEvent(NamedTuple):
    """An event and the id of the stream entry it came in."""

    entry_id: str
    row: str
    """As `schemas.entry.pack` writes it."""

    @property
    def event_id(self) -> str:
        """As in the row."""
        return self.row[:36]

    @property
    def event_type(self) -> str:
        """As in the row."""
        return self.row[37 : self.row.index("\t", 37)]

    @property
    def received_at(self) -> str:
        """As in the row. Later times are greater texts."""
        return self.row.split("\t", 6)[5]


class DeadLetter(NamedTuple):
    """A stream entry that cannot be stored as an event, and the reason."""

    entry_id: str
    reason: str
    """Stable code."""
    detail: str
    """Text for people. It repeats no value of the entry."""
    payload: str
    """The fields of the entry that may be kept, as ASCII JSON."""
    event_id: UUID | None = None


class BatchCounts(NamedTuple):
    """The number of entries of a batch by fate. The sum is the number of entries."""

    stored: int
    duplicate: int
    suppressed: int
    dead_lettered: int
    redelivered: int
    """Entries that an earlier transaction had already settled."""
