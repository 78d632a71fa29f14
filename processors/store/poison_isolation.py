"""Writes a batch whatever it holds: waits out outages and parks the events that the database refuses.

    write -> an event is refused: find it, make it a dead letter, write again
          -> events precede the retention horizon: make them dead letters, write again

The refused event is found by a binary search of rehearsals, so it is parked in the transaction that stores the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from processors.retry import until_available
from processors.store.breaker import Breaker
from processors.store.decode import dead_letter
from runtime.errors import DeadLetterLimitReached, EventRejected, EventsBeforeHorizon
from storage.batches.batch import BatchCounts, DeadLetter, ReceivedEvent
from stream.entries.entry import Entry
from telemetry import internal_events as telemetry


class Writer(Protocol):
    """Stores a batch in one transaction."""

    async def write(
        self, partition: int, events: Sequence[ReceivedEvent], dead_letters: Sequence[DeadLetter]
    ) -> BatchCounts:
        """Store all or nothing. Raises StorageUnavailable, EventRejected or EventsBeforeHorizon."""

    async def rehearse(self, partition: int, events: Sequence[ReceivedEvent]) -> None:
        """Do what `write` does and roll back. Raises StorageUnavailable or EventRejected."""


class PoisonIsolatingWriter:
    """Writes the batches of one partition."""

    def __init__(self, writer: Writer, partition: int, stop: asyncio.Event, breaker: Breaker) -> None:
        self._writer = writer
        self._partition = partition
        self._stop = stop
        self._breaker = breaker

    async def write(
        self,
        events: Sequence[ReceivedEvent],
        letters: Sequence[DeadLetter],
        entries: Mapping[str, Entry],
    ) -> BatchCounts:
        """Store events and dead letters in one transaction; return their counts.

        `entries` holds the entries of the events and letters by id, in the order of the stream. During an outage of the
        database it retries until `stop` is set, then raises StorageUnavailable. It parks an event that the database
        refuses at the cost of ceil(log2(n)) + 1 transactions, and events before the retention horizon at the cost of
        one. Raises DeadLetterLimitReached when too much would be parked; events before the horizon do not count, as
        neither a release nor an outage causes them. Nothing is stored when it raises, unless a commit's reply was lost.
        """
        events, letters = list(events), list(letters)
        late: list[DeadLetter] = []
        accepted = 0
        while True:
            parked = self._check_limits(letters, entries)
            try:
                counts = await self._write(events, [*letters, *late])
            except EventsBeforeHorizon as horizon:
                late += [_before_horizon(one, entries) for one in events if one.entry_id in horizon.entry_ids]
                events = [one for one in events if one.entry_id not in horizon.entry_ids]
                accepted = 0
            except EventRejected as rejection:
                if not events:
                    raise
                # all were accepted before and are refused now: search from the first again
                accepted = 0 if accepted == len(events) else accepted
                accepted, cause = await self._first_refused(events, accepted, rejection)
                letters.append(_refused(events.pop(accepted), cause, entries))
            else:
                break
        self._breaker.record(parked)
        if letters or late:
            telemetry.entries_parked([letter.reason for letter in [*letters, *late]])
        return counts

    def _check_limits(self, letters: Sequence[DeadLetter], entries: Mapping[str, Entry]) -> list[bool]:
        """Return for each entry whether it is one of `letters`. Raises DeadLetterLimitReached."""
        ids = {letter.entry_id for letter in letters}
        parked = [entry_id in ids for entry_id in entries]
        excess = self._breaker.exceeded_limit(parked)
        if excess is not None:
            reasons = sorted({letter.reason for letter in letters})
            telemetry.parking_stopped(excess, reasons)
            raise DeadLetterLimitReached(excess, reasons)
        return parked

    async def _write(self, events: Sequence[ReceivedEvent], letters: Sequence[DeadLetter]) -> BatchCounts:
        return await until_available(lambda: self._writer.write(self._partition, events, letters), self._stop)

    async def _first_refused(
        self, events: Sequence[ReceivedEvent], accepted: int, rejection: EventRejected
    ) -> tuple[int, EventRejected]:
        """Return the index of the first event that is refused, and why.

        All events together were refused with `rejection`; the first `accepted` of them are known to be accepted.
        """
        refused = len(events)
        while refused - accepted > 1:
            middle = (accepted + refused) // 2
            try:
                await self._rehearse(events[:middle])
            except EventRejected as earlier:
                refused, rejection = middle, earlier
            else:
                accepted = middle
        return refused - 1, rejection

    async def _rehearse(self, events: Sequence[ReceivedEvent]) -> None:
        await until_available(lambda: self._writer.rehearse(self._partition, events), self._stop)


def _before_horizon(event: ReceivedEvent, entries: Mapping[str, Entry]) -> DeadLetter:
    detail = "raw events of that time were removed, so a repeat cannot be distinguished from a new event"
    return dead_letter(entries[event.entry_id], "before_retention_horizon", detail, UUID(event.event_id))


def _refused(event: ReceivedEvent, cause: EventRejected, entries: Mapping[str, Entry]) -> DeadLetter:
    detail = f"{cause.code} {cause.detail}"
    return dead_letter(entries[event.entry_id], "rejected_by_database", detail, UUID(event.event_id))
