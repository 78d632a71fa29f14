"""Who is erased, on the way from the database to ingest, which has none: all tombstones in one value of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Set
from datetime import timedelta
from typing import Any, Final

from redis.asyncio import Redis

from runtime.errors import StreamUnavailable
from runtime.lifecycle import wait
from stream.failures import translated_errors
from stream.keys import TOMBSTONES
from telemetry import events as telemetry

_BYTES: Final = 32
_FOLLOW_INTERVAL: Final = timedelta(seconds=2)


async def published_tombstones(redis: Redis) -> int | None:
    """Return how many are published; None when nobody has published any. Raises StreamUnavailable."""
    with translated_errors():
        async with redis.pipeline(transaction=False) as pipeline:
            pipeline.exists(TOMBSTONES)
            pipeline.strlen(TOMBSTONES)
            exists, length = await pipeline.execute()
    return length // _BYTES if exists else None


async def publish_tombstones(redis: Redis, user_hashes: Sequence[bytes]) -> None:
    """Publish all, 32 bytes each. Raises StreamUnavailable."""
    with translated_errors():
        await redis.set(TOMBSTONES, b"".join(user_hashes))


async def read_tombstones(redis: Redis) -> Set[bytes] | None:
    """Return all; None when nobody has published any. Raises StreamUnavailable."""
    with translated_errors():
        value: Any = await redis.get(TOMBSTONES)
    if value is None:
        return None
    return frozenset(value[at : at + _BYTES] for at in range(0, len(value), _BYTES))


async def follow_tombstones(redis: Redis, renew: Callable[[Set[bytes]], None], stop: asyncio.Event) -> None:
    """Hand over the tombstones whenever their number has changed, until `stop` is set."""
    known: int | None = None
    fails = False
    while True:
        try:
            count = await published_tombstones(redis)
            if count is not None and count != known:
                tombstones = await read_tombstones(redis)
                if tombstones is not None:
                    renew(tombstones)
                    known = len(tombstones)
        except StreamUnavailable as error:
            if not fails:
                telemetry.tombstones_unreadable(error)
            fails = True
        else:
            fails = False
        if await wait(stop, _FOLLOW_INTERVAL.total_seconds()):
            return
