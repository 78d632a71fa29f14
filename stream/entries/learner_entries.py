"""Finds the entries of one learner by reading the whole stream, and removes those that no group needs any more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from stream.entries.entry import Entry, EntryId
from stream.entries.trimmer import lowest_needed
from stream.keys import stream_key
from stream.server.failures import translated_errors

_PAGE: Final = 2_000
_USER_HASH: Final = b"user_hash"


_REMOVE: Final = (Path(__file__).parent / "remove_entries.lua").read_text(encoding="utf-8")
_MAX_ARGUMENTS: Final = 1_000


class Removal(NamedTuple):
    """Numbers of entries of one removal."""

    entries: int
    """Removed entries."""
    left: int
    """Removed entries that may share a node with others. Their bytes stay until the other entries are trimmed."""
    waiting: int
    """Entries that some group has not settled yet. They can be removed later."""


class Sweep(NamedTuple):
    """Numbers of entries of a learner in one partition."""

    removed: int
    left: int
    """As in `Removal`."""
    waiting: int
    """As in `Removal`."""


async def find_learner_entries(
    redis: Redis, partition: int, user_hashes: Sequence[bytes]
) -> AsyncIterator[list[Entry]]:
    """Yield the entries of a learner, in pages. Reads the whole stream. Raises StreamUnavailable."""
    wanted = {one.hex().encode() for one in user_hashes}
    after = "-"
    while True:
        with translated_errors():
            page: Any = await redis.xrange(stream_key(partition), after, "+", count=_PAGE)
        if not page:
            return
        found = [Entry(entry_id.decode(), fields) for entry_id, fields in page if fields.get(_USER_HASH) in wanted]
        if found:
            yield found
        after = f"({page[-1][0].decode()}"


async def sweep_learner(
    redis: Redis, partition: int, user_hashes: Sequence[bytes], ignored: Collection[str] = ()
) -> Sweep:
    """Remove the entries of a learner that every group except the `ignored` ones has settled.

    Raises StreamUnavailable.
    """
    removed = left = waiting = 0
    async for entries in find_learner_entries(redis, partition, user_hashes):
        removal = await remove_settled(redis, partition, [entry.id for entry in entries], ignored)
        removed += removal.entries
        left += removal.left
        waiting += len(entries) - removal.entries
    return Sweep(removed, left, waiting)


async def remove_settled(redis: Redis, partition: int, ids: Sequence[str], ignored: Collection[str] = ()) -> Removal:
    """Delete the entries that every group except the `ignored` ones has settled; return the numbers.

    Deleting an entry that a group has not settled would make the lag of the group unknown, and its consumer would
    report the entry as lost. Raises StreamUnavailable.
    """
    key = stream_key(partition)
    with translated_errors():
        floor = await lowest_needed(redis, key, ignored)
        settled = [one for one in ids if floor is not None and EntryId.parse(one) < floor]
        script = redis.register_script(_REMOVE)
        removed = nodes = 0
        for start in range(0, len(settled), _MAX_ARGUMENTS):
            entries, freed = await script(keys=[key], args=settled[start : start + _MAX_ARGUMENTS])
            removed += entries
            nodes += freed
    return Removal(removed, removed - nodes, len(ids) - len(settled))
