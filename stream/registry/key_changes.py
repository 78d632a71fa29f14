"""Records when the pseudonym key was changed: written by ingest, which has the keys, and read by workers, which do not.

A change gives every learner another pseudonym, so pseudonyms from before and after it cannot be compared.
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
    """Record that events use this key from `now` on, unless a time is recorded already. Raises StreamUnavailable."""
    with translated_errors():
        recorded: Any = redis.hsetnx(KEY_CHANGES, str(version), str(unix_milliseconds(now)))
        await recorded


async def read_key_changes(redis: Redis) -> Sequence[datetime]:
    """Return the times of all recorded key changes, in no order. Raises StreamUnavailable."""
    with translated_errors():
        moments: Any = redis.hvals(KEY_CHANGES)
        return [time_of(int(one)) for one in await moments]
