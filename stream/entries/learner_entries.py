"""Finds the entries of learners by reading the stream, and removes those that no reader needs any more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from schemas.entry import user_hash_of
from stream.entries.entry import BEGINNING, Entry, EntryId
from stream.entries.trimmer import lowest_needed
from stream.keys import removals_key, stream_key
from stream.server.failures import translated_errors

_PAGE: Final = 2_000

_REMOVE: Final = (Path(__file__).parent / "remove_entries.lua").read_text(encoding="utf-8")
_MAX_ARGUMENTS: Final = 1_000


class Removal(NamedTuple):
    """Numbers of entries of one removal."""

    entries: int
    """Removed entries."""
    left: int
    """Removed entries that may share a node with others. Their bytes stay until the other entries are trimmed."""
    waiting: Sequence[str]
    """Ids of entries that some reader has not settled yet. They can be removed later."""


class Page(NamedTuple):
    """A part of a stream that was searched."""

    found: list[tuple[Entry, bytes]]
    """The entries of the learners, each with the pseudonym."""
    end: str
    """Id of the last entry of the part."""
    is_last: bool
    """Whether the stream had no later entry."""


async def find_learner_entries(
    redis: Redis, partition: int, user_hashes: Sequence[bytes]
) -> AsyncIterator[list[Entry]]:
    """Yield the entries of a learner, in pages. Reads the whole stream. Raises StreamUnavailable."""
    after = BEGINNING
    while True:
        page = await search_page(redis, partition, user_hashes, after)
        if page.found:
            yield [entry for entry, _ in page.found]
        if page.is_last:
            return
        after = page.end


async def search_page(redis: Redis, partition: int, user_hashes: Collection[bytes], after: str) -> Page:
    """Search the part of the stream that follows the id `after` for entries of learners. Raises StreamUnavailable."""
    wanted = {one.hex().encode(): one for one in user_hashes}
    with translated_errors():
        part: Any = await redis.xrange(stream_key(partition), f"({after}", "+", count=_PAGE)
    found = [
        (Entry(entry_id.decode(), fields), wanted[text])
        for entry_id, fields in part
        if (text := user_hash_of(fields)) in wanted
    ]
    return Page(found, part[-1][0].decode() if part else after, len(part) < _PAGE)


async def remove_settled(redis: Redis, partition: int, ids: Sequence[str], ignored: Collection[str] = ()) -> Removal:
    """Delete the entries that every reader except the `ignored` groups has settled; return the numbers.

    Deleting an entry that a group has not settled would make the lag of the group unknown, and its consumer would
    report the entry as lost. Raises StreamUnavailable.
    """
    if not ids:
        return Removal(0, 0, ())
    key = stream_key(partition)
    keys = [key, removals_key(partition)]
    with translated_errors():
        floor = await lowest_needed(redis, partition, ignored)
        settled = [one for one in ids if floor is not None and EntryId.parse(one) < floor]
        waiting = [one for one in ids if floor is None or EntryId.parse(one) >= floor]
        script = redis.register_script(_REMOVE)
        removed = nodes = 0
        for start in range(0, len(settled), _MAX_ARGUMENTS):
            entries, freed = await script(keys=keys, args=settled[start : start + _MAX_ARGUMENTS])
            removed += entries
            nodes += freed
        if waiting and not await redis.exists(key):
            # Redis was emptied
            waiting = []
    return Removal(removed, removed - nodes, waiting)
