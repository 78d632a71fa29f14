"""Redrives dead letters: decodes them with the current code and appends their events to the stream again.

The event keeps its id and its receipt time, so it counts once however often it is appended. It is a new entry with its
own fate in the books. The old entry stays booked as dead-lettered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from processors.store.decode import StorableRange, decode_entries
from runtime.failpoints import Failpoint, reach
from schemas.dead_letter import NotKept, restore
from schemas.entry import WireEvent, unpack
from storage.database.pool import Connection
from storage.dead_letters import Letter, LetterId, mark_retried
from stream.entries.entry import Entry
from stream.entries.lookup import find_entries
from stream.entries.producer import Producer
from stream.server.connection import Redis


class StillInvalid(NamedTuple):
    """A letter that still cannot be decoded. It is not changed."""

    id: LetterId
    reason: str
    """Stable code, as in the letter; `not_kept` if neither the letter nor the stream has the complete entry."""
    detail: str


class Redrive(NamedTuple):
    """Letters that can be redriven, with their events, and letters that cannot."""

    events: dict[LetterId, WireEvent]
    still_invalid: list[StillInvalid]


async def prepare(redis: Redis, letters: Sequence[Letter], storable: StorableRange) -> Redrive:
    """Decode letters again. Fields that a letter lacks are read from the stream, if it still has the entry.

    Changes nothing. Raises StreamUnavailable.
    """
    events: dict[LetterId, WireEvent] = {}
    still_invalid: list[StillInvalid] = []
    for letter, entry in (await _entries_of(redis, letters)).items():
        if isinstance(entry, NotKept):
            detail = f"{entry}, and the entry has left the stream"
            still_invalid.append(StillInvalid(letter, "not_kept", detail))
            continue
        decoded, refused = decode_entries([entry], storable)
        if decoded:
            events[letter] = unpack(decoded[0].row)
        still_invalid += [StillInvalid(letter, again.reason, again.detail) for again in refused]
    return Redrive(events, still_invalid)


async def redrive(producer: Producer, connection: Connection, events: Mapping[LetterId, WireEvent]) -> None:
    """Append the events, then mark their letters. After a crash in between, events are appended twice and count once.

    Raises StreamUnavailable and StorageUnavailable; repeat the call then.
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
