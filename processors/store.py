"""Stores one batch for certain: retries what may succeed later, parks the one event the database refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from processors.decode import dead_letter
from processors.retry import until_available
from runtime.errors import EventRejected
from storage.writer import BatchCounts, DeadLetter, ReceivedEvent
from stream.consumer import Entry
from telemetry import events as telemetry


class Writer(Protocol):
    """Whatever stores a batch in one transaction."""

    async def write(
        self, partition: int, events: Sequence[ReceivedEvent], dead_letters: Sequence[DeadLetter]
    ) -> BatchCounts:
        """Store all or nothing. Raises StorageUnavailable or EventRejected."""


class BatchStore:
    """Writes batches of one partition."""

    def __init__(self, writer: Writer, partition: int, stop: asyncio.Event) -> None:
        self._writer = writer
        self._partition = partition
        self._stop = stop

    async def store(
        self,
        events: Sequence[ReceivedEvent],
        letters: Sequence[DeadLetter],
        entries: Mapping[str, Entry],
    ) -> BatchCounts:
        """Store events and dead letters; `entries` are theirs, by id.

        While the database is away it waits for ever; once told to stop, raises StorageUnavailable instead: then part of
        the batch may be stored, which redelivery makes right. An event the database refuses is found by halving.
        """
        try:
            counts = await until_available(lambda: self._writer.write(self._partition, events, letters), self._stop)
        except EventRejected as rejection:
            if not events:
                raise
            return await self._store_halves(events, letters, entries, rejection)
        if letters:
            telemetry.entries_parked([letter.reason for letter in letters])
        return counts

    async def _store_halves(
        self,
        events: Sequence[ReceivedEvent],
        letters: Sequence[DeadLetter],
        entries: Mapping[str, Entry],
        rejection: EventRejected,
    ) -> BatchCounts:
        if len(events) == 1:
            [(entry_id, event)] = events
            detail = f"{rejection.code} {rejection.detail}"
            letter = dead_letter(entries[entry_id], "rejected_by_database", detail, event.event_id)
            return await self.store([], [*letters, letter], entries)
        middle = len(events) // 2
        first = await self.store(events[:middle], letters, entries)
        second = await self.store(events[middle:], [], entries)
        return BatchCounts(*map(sum, zip(first, second, strict=True)))
