"""The stream's side of the books: the number of appended and of settled entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from stream.entries.cursor import read_cursor
from stream.keys import LIVE_GROUP, STORE_GROUP, stream_key
from stream.server.failures import is_missing_key, translated_errors


@dataclass(frozen=True, slots=True)
class StreamBooks:
    """The books of one partition at one moment."""

    appended: int
    """Entries ever appended."""
    settled: int | None
    """Entries that the group has read and acknowledged; None if Redis does not report it."""


async def read_stream_books(redis: Redis, partition: int, group: str = STORE_GROUP) -> StreamBooks:
    """Return both numbers from one moment; what live workers settled, from just before. Raises StreamUnavailable."""
    key = stream_key(partition)
    cursor = await read_cursor(redis, partition) if group == LIVE_GROUP else None
    with translated_errors():
        async with redis.pipeline(transaction=True) as pipeline:
            pipeline.xinfo_stream(key)
            pipeline.xinfo_groups(key)
            stream, groups = await pipeline.execute(raise_on_error=False)
        if isinstance(stream, ResponseError):
            # a look whether the key exists would come later than this answer: the first event may come in between
            if not is_missing_key(stream):
                raise stream
            return StreamBooks(appended=0, settled=0)
    return StreamBooks(stream["entries-added"], cursor.read if cursor else _settled(groups, group))


def _settled(groups: list[dict[str, Any]], group: str) -> int | None:
    facts = next((facts for facts in groups if facts["name"] == group.encode()), None)
    if facts is None:
        return 0
    read = facts["entries-read"]
    return None if read is None else int(read) - int(facts["pending"])
