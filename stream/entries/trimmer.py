"""Removes old entries, but none that a reader still needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from redis.asyncio import Redis

from stream.entries.entry import EntryId
from stream.entries.readers import list_readers
from stream.keys import STORE_GROUP, stream_key
from stream.server.failures import translated_errors

_PAGE: Final = 10_000
_MEMORY_SHARE: Final = 2 / 3


@dataclass(frozen=True)
class TrimResult:
    """The result of a trim."""

    removed: int
    bytes_used: int
    """Memory of the stream after the trim."""


def memory_budget(wanted: int, max_memory: int, others: int) -> int:
    """Return the maximum memory of the streams in bytes: `wanted`, or less if Redis would stay short of memory.

    `max_memory`: limit of Redis, 0 if there is none. `others`: memory of everything except the streams.
    """
    return max(0, min(wanted, int(max_memory * _MEMORY_SHARE) - others)) if max_memory else wanted


async def memory_of(redis: Redis, partition: int) -> int:
    """Return Redis' estimate of the memory of a stream, in bytes. Raises StreamUnavailable."""
    with translated_errors():
        return await redis.memory_usage(stream_key(partition)) or 0


async def trim(
    redis: Redis, partition: int, retention: timedelta, max_bytes: int, ignored: Collection[str] = ()
) -> TrimResult:
    """Remove settled entries older than `retention` and, above `max_bytes`, the oldest other settled entries.

    An entry is settled when every reader except the `ignored` groups has settled it. Age is measured by the clock of
    Redis. Workers may run meanwhile: deliveries and acknowledgements only add removable entries. Raises
    StreamUnavailable.
    """
    key = stream_key(partition)
    with translated_errors():
        needed = await lowest_needed(redis, partition, ignored)
        if needed is None:
            return TrimResult(0, 0)
        seconds, microseconds = await redis.time()
        oldest_kept = (int(seconds) * 1000 + int(microseconds) // 1000) - retention // timedelta(milliseconds=1)
        floor = min(needed, EntryId(max(0, oldest_kept), 0))
        removed = await _trim_pages(redis, key, floor)
        removed += await redis.xtrim(key, minid=str(floor), approximate=False)
        used = await memory_of(redis, partition)
        if used > max_bytes:
            length = await redis.xlen(key)
            excess = length - length * max_bytes // used
            removed += await redis.xtrim(key, minid=str(needed), limit=max(excess, 1))
            used = await memory_of(redis, partition)
    return TrimResult(removed, used)


async def lowest_needed(redis: Redis, partition: int, ignored: Collection[str] = ()) -> EntryId | None:
    """Return the lowest id that any reader except the `ignored` groups needs.

    None if the stream or its store group is missing: nothing may be removed then. Raises StreamUnavailable.
    """
    passed_over = {name.encode() for name in ignored}
    readers = await list_readers(redis, partition)
    if all(reader.raw_name != STORE_GROUP.encode() for reader in readers):
        return None
    return min(reader.needed for reader in readers if reader.raw_name not in passed_over)


async def _trim_pages(redis: Redis, key: str, floor: EntryId) -> int:
    removed = 0
    # in pages, so that Redis can serve other clients in between
    while page := await redis.xtrim(key, minid=str(floor), limit=_PAGE):
        removed += page
    return removed
