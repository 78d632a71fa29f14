"""When the key of pseudonyms was changed: told by ingest, which has the keys, to workers, which have none.

One learner has another pseudonym after it, so pseudonyms from before and after say nothing about each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from redis.asyncio import Redis

from schemas.identifiers import time_of, unix_milliseconds
from stream.keys import KEY_CHANGES
from stream.server.failures import translated_errors


async def record_key_change(redis: Redis, version: int, now: datetime) -> None:
    """Record that events come under this key from `now` on, unless that is recorded. Raises StreamUnavailable."""
    with translated_errors():
        recorded: Any = redis.hsetnx(KEY_CHANGES, str(version), str(unix_milliseconds(now)))
        await recorded


async def read_key_changes(redis: Redis) -> Sequence[datetime]:
    """Return when the key was changed, each time that is known; in no order. Raises StreamUnavailable."""
    with translated_errors():
        moments: Any = redis.hvals(KEY_CHANGES)
        return [time_of(int(one)) for one in await moments]
