"""Lists the workers that read a stream: the consumers of a group, or the live worker that leads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from stream.entries.cursor import read_cursor
from stream.keys import LIVE_GROUP, stream_key
from stream.server.failures import GroupMissing, is_missing_key, translated_errors


@dataclass(frozen=True, slots=True)
class Consumer:
    """A consumer of a group in one partition."""

    name: str
    pending: int
    """Number of entries delivered to it and not settled."""
    idle: timedelta
    """Time since it last asked for entries."""


async def list_consumers(redis: Redis, partition: int, group: str) -> list[Consumer] | None:
    """Return the consumers of a group; None if the group does not exist. Raises StreamUnavailable.

    Of the live workers, return the one that leads.
    """
    if group == LIVE_GROUP and (cursor := await read_cursor(redis, partition)):
        return [Consumer(cursor.leader, 0, cursor.silent)] if cursor.leader else []
    try:
        with translated_errors():
            facts = await redis.xinfo_consumers(stream_key(partition), group)
    except GroupMissing:
        return None
    except ResponseError as error:
        if is_missing_key(error):
            return None
        raise
    return [_consumer(one["name"], one["pending"], one["idle"]) for one in facts]


def _consumer(name: bytes, pending: int, idle: int) -> Consumer:
    # another tool may read our group under any name
    return Consumer(name.decode(errors="backslashreplace"), pending, timedelta(milliseconds=idle))
