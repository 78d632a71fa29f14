"""Gives dead letters another try: decodes them with today's code and appends their events to the stream again.

The event keeps its id and the time it was received, so however often it is appended it counts once. It is a new entry
with a fate of its own in the books; the old entry stays booked as dead-lettered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from processors.store.decode import StorableRange, decode_entries
from runtime.failpoints import Failpoint, reach
from schemas.dead_letter import NotKept, restore
from schemas.entry import WireEvent
from storage.database.pool import Connection
from storage.dead_letters import Letter, LetterId, mark_retried
from stream.entries.entry import Entry
from stream.entries.lookup import find_entries
from stream.entries.producer import Producer
from stream.server.connection import Redis


class Hopeless(NamedTuple):
    """A letter that still is no event; it stays as it is."""

    id: LetterId
    reason: str
    """Stable word, as that of the letter; `not_kept` when neither the letter nor the stream has the whole entry."""
    detail: str


class Redrive(NamedTuple):
    """What can be done for some letters."""

    events: dict[LetterId, WireEvent]
    hopeless: list[Hopeless]


async def prepare(redis: Redis, letters: Sequence[Letter], storable: StorableRange) -> Redrive:
    """Decode letters again; what one did not keep is read from the stream, if it is still there.

    Raises StreamUnavailable. Changes nothing.
    """
    events: dict[LetterId, WireEvent] = {}
    hopeless: list[Hopeless] = []
    for letter, entry in (await _entries_of(redis, letters)).items():
        if isinstance(entry, NotKept):
            hopeless.append(Hopeless(letter, "not_kept", f"{entry}, and the entry has left the stream"))
            continue
        decoded, refused = decode_entries([entry], storable)
        if decoded:
            events[letter] = decoded[0].event
        hopeless += [Hopeless(letter, again.reason, again.detail) for again in refused]
    return Redrive(events, hopeless)


async def redrive(producer: Producer, connection: Connection, events: Mapping[LetterId, WireEvent]) -> None:
    """Append the events and mark their letters, in this order: a crash between appends them twice, and counts once.

    Raises StreamUnavailable and StorageUnavailable; then call it again.
    """
    await producer.append(list(events.values()))
    reach(Failpoint.AFTER_REDRIVE)
    await mark_retried(connection, list(events))


async def _entries_of(redis: Redis, letters: Sequence[Letter]) -> dict[LetterId, Entry | NotKept]:
    """Return the entry of each letter, in the order of the letters."""
    found: dict[LetterId, Entry | NotKept] = {}
    wanted: dict[int, list[str]] = {}
    for letter in letters:
        try:
            found[letter.id] = Entry(letter.id.entry_id, restore(letter.payload))
        except NotKept as gap:
            found[letter.id] = gap
            wanted.setdefault(letter.id.partition, []).append(letter.id.entry_id)
    for partition, ids in wanted.items():
        for entry in await find_entries(redis, partition, ids):
            found[LetterId(partition, entry.id)] = entry
    return found
