"""Entries of a stream and their ids. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

BEGINNING: Final = "0-0"
"""Id before every entry."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Entry(NamedTuple):
    """One entry of a stream."""

    id: str
    fields: dict[bytes, bytes]


@dataclass(frozen=True, order=True)
class EntryId:
    """The id of an entry, ordered as the stream orders its entries."""

    milliseconds: int
    sequence: int

    @classmethod
    def parse(cls, text: str | bytes) -> EntryId:
        """Return the id written as `milliseconds-sequence`."""
        milliseconds, _, sequence = (text.decode() if isinstance(text, bytes) else text).partition("-")
        return cls(int(milliseconds), int(sequence or 0))

    def next(self) -> EntryId:
        """Return the lowest id above this one."""
        return EntryId(self.milliseconds, self.sequence + 1)

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.sequence}"


def time_of(entry: EntryId) -> datetime:
    """Return when an entry was appended, by the clock of Redis."""
    return _EPOCH + timedelta(milliseconds=entry.milliseconds)
