"""Measures which entries each reader of a stream, also a foreign group, keeps from being trimmed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from redis.asyncio import Redis

from stream.entries.entry import EntryId, time_of
from stream.entries.readers import Reader, list_readers
from stream.keys import LIVE_GROUP, STORE_GROUP, stream_key
from stream.server.clock import read_time
from stream.server.failures import translated_errors

_LONGEST_NAME: Final = 64


@dataclass(frozen=True)
class GroupNeed:
    """A reader of a stream, and the oldest entry that it has not settled."""

    raw_name: bytes
    pending: int
    """Number of entries delivered to a consumer and not settled."""
    undelivered: int | None
    """Number of entries not delivered yet; None if Redis does not report it."""
    last_delivered: EntryId
    held_since: datetime | None
    """When the oldest entry that the group needs was appended; None if the stream has no such entry."""
    redis_now: datetime

    @property
    def name(self) -> str:
        """The name, escaped and shortened for output: other tools choose the names of their groups."""
        text = self.raw_name.decode(errors="backslashreplace")
        shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
        return shown if len(shown) <= _LONGEST_NAME else f"{shown[:_LONGEST_NAME]}..."

    @property
    def held_seconds(self) -> float:
        """Age of the oldest entry that the group needs, in seconds."""
        return 0.0 if self.held_since is None else max(0.0, (self.redis_now - self.held_since).total_seconds())

    def kind(self, ignored: Collection[str]) -> str:
        """Return `store` or `live` for the readers of this system, `ignored` or `other` for any other."""
        if self.raw_name in (STORE_GROUP.encode(), LIVE_GROUP.encode()):
            return self.raw_name.decode()
        return "ignored" if self.raw_name in {name.encode() for name in ignored} else "other"


async def read_needs(redis: Redis, partition: int) -> list[GroupNeed]:
    """Return the need of each reader of a stream. Raises StreamUnavailable."""
    redis_now = await read_time(redis)
    return [await _need(redis, partition, one, redis_now) for one in await list_readers(redis, partition)]


async def _need(redis: Redis, partition: int, reader: Reader, redis_now: datetime) -> GroupNeed:
    with translated_errors():
        oldest: Any = await redis.xrange(stream_key(partition), str(reader.needed), count=1)
    return GroupNeed(
        reader.raw_name,
        reader.pending,
        reader.undelivered,
        reader.last_delivered,
        time_of(EntryId.parse(oldest[0][0])) if oldest else None,
        redis_now,
    )
