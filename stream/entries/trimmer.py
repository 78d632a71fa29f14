"""Removes old entries, and never one that a group still needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from redis.asyncio import Redis

from stream.entries.entry import EntryId
from stream.entries.groups import read_groups
from stream.keys import STORE_GROUP, stream_key
from stream.server.failures import translated_errors

_PAGE: Final = 10_000
_MEMORY_SHARE: Final = 2 / 3


@dataclass(frozen=True)
class TrimResult:
    """What a trim did."""

    removed: int
    bytes_used: int
    """Memory of the stream afterwards."""


def memory_budget(wanted: int, max_memory: int, others: int) -> int:
    """Return how many bytes streams may keep: as wanted, and never so many that Redis is short of memory for good.

    `others` is what everything but the streams takes.
    """
    return max(0, min(wanted, int(max_memory * _MEMORY_SHARE) - others)) if max_memory else wanted


async def memory_of(redis: Redis, partition: int) -> int:
    """Return the bytes a stream takes, as Redis estimates them. Raises StreamUnavailable."""
    with translated_errors():
        return await redis.memory_usage(stream_key(partition)) or 0


async def trim(
    redis: Redis, partition: int, retention: timedelta, max_bytes: int, ignored: Collection[str] = ()
) -> TrimResult:
    """Remove entries every group has settled, those older than `retention` and, past `max_bytes`, the oldest first.

    Groups that are `ignored` are not waited for. Age is counted on the clock of Redis. Safe beside running workers:
    deliveries and acknowledgements only ever raise what may go. Raises StreamUnavailable.
    """
    key = stream_key(partition)
    with translated_errors():
        needed = await lowest_needed(redis, key, ignored)
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


async def lowest_needed(redis: Redis, key: str, ignored: Collection[str] = ()) -> EntryId | None:
    """Return the lowest id that any group but the `ignored` ones needs.

    None when the stream or its store group is missing: then nothing may go.
    """
    passed_over = {name.encode() for name in ignored}
    groups = await read_groups(redis, key)
    if all(group["name"] != STORE_GROUP.encode() for group in groups):
        return None
    needed = []
    for group in groups:
        if group["name"] in passed_over:
            continue
        # Deliveries were read before pending entries: one that is delivered in between lies above both.
        summary = await redis.xpending(key, group["name"])
        if summary["pending"]:
            needed.append(EntryId.parse(summary["min"]))
        needed.append(EntryId.parse(group["last-delivered-id"]).next())
    return min(needed)


async def _trim_pages(redis: Redis, key: str, floor: EntryId) -> int:
    removed = 0
    # In pages, so that Redis serves others in between.
    while page := await redis.xtrim(key, minid=str(floor), limit=_PAGE):
        removed += page
    return removed
