"""Reads the entries that a stream still has, including settled ones, in their order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from redis.asyncio import Redis

from stream.entries.entry import Entry, EntryId, time_of
from stream.keys import removals_key, stream_key
from stream.server.failures import translated_errors

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


async def read_history(
    redis: Redis, partition: int, start: datetime, end: datetime, page: int
) -> AsyncIterator[list[Entry]]:
    """Yield the entries appended from `start` to `end` (both included, by Redis' clock), oldest first, page by page.

    Reads without a group: nothing is delivered, claimed or acknowledged. Raises StreamUnavailable.
    """
    at, last = str((start - _EPOCH) // _MILLISECOND), str((end - _EPOCH) // _MILLISECOND)
    while True:
        with translated_errors():
            replies: Any = await redis.xrange(stream_key(partition), at, last, count=page)
        if not replies:
            return
        yield [Entry(entry_id.decode(), fields) for entry_id, fields in replies]
        at = f"({replies[-1][0].decode()}"


async def trimmed_through(redis: Redis, partition: int) -> datetime | None:
    """Return a time before which every trimmed entry of the stream was appended; None if none was trimmed.

    Entries of erased learners were not trimmed, unless a release before this one removed them. Raises
    StreamUnavailable.
    """
    with translated_errors():
        if not await redis.exists(stream_key(partition)):
            return None
        # before the stream: an erasure in between must look like a trim, not hide one
        record: Any = await redis.hmget(removals_key(partition), ("erased", "trimmed", "before"))
        facts: Any = await redis.xinfo_stream(stream_key(partition))
    erased, trimmed_then, before = record
    trimmed = facts["entries-added"] - facts["length"] - int(erased or 0)
    if trimmed == 0:
        return None
    # XTRIM leaves no trace, but it removed only entries older than the oldest that is left
    oldest = facts["first-entry"]
    above = oldest[0] if oldest else facts["last-generated-id"]
    return time_of(EntryId.parse(before if trimmed == int(trimmed_then or 0) else above))
