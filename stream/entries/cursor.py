"""The cursor of the live workers in a partition: how far they have published, and which of them leads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from redis.asyncio import Redis

from stream.entries.entry import EntryId
from stream.keys import live_cursor_key
from stream.server.failures import translated_errors

LEASE: Final = timedelta(seconds=3)
"""How long a live worker leads after it last published or asked for the lead."""

_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position of the live workers in a stream."""

    id: EntryId
    """The last entry that was published or passed over."""
    read: int | None
    """Number of entries up to it that were ever appended; None if unknown."""
    leader: str | None
    """Name of the worker that leads; None if no lease is running."""
    silent: timedelta
    """Time since the leader last published or asked for the lead; 0 without a leader."""


async def read_cursor(redis: Redis, partition: int) -> Cursor | None:
    """Return the cursor; None before the first live worker of this release. Raises StreamUnavailable."""
    with translated_errors():
        found: Any = await redis.hmget(live_cursor_key(partition), ("cursor", "read", "leader", "until"))
        cursor, read, leader, until = found
        if cursor is None:
            return None
        seconds, microseconds = await redis.time()
    left = int(until or 0) - (int(seconds) * 1000 + int(microseconds) // 1000)
    leads = leader is not None and 0 < left <= LEASE // _MILLISECOND
    return Cursor(
        EntryId.parse(cursor),
        None if read is None else int(read),
        leader.decode(errors="backslashreplace") if leads else None,
        LEASE - left * _MILLISECOND if leads else timedelta(0),
    )
