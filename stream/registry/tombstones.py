"""Distributes the tombstones of erased learners from the database to ingest, which has none, as one value in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Set
from datetime import timedelta
from typing import Any, Final

from redis.asyncio import Redis

from runtime.polling import OutageReport, poll
from stream.keys import TOMBSTONES
from stream.server.failures import translated_errors
from telemetry import internal_events as telemetry

_BYTES: Final = 32
_SYNC_INTERVAL: Final = timedelta(seconds=2)


async def published_tombstones(redis: Redis) -> int | None:
    """Return the number of published tombstones; None if none were ever published. Raises StreamUnavailable."""
    with translated_errors():
        async with redis.pipeline(transaction=False) as pipeline:
            pipeline.exists(TOMBSTONES)
            pipeline.strlen(TOMBSTONES)
            exists, length = await pipeline.execute()
    return length // _BYTES if exists else None


async def publish_tombstones(redis: Redis, user_hashes: Sequence[bytes]) -> None:
    """Replace the published tombstones by these pseudonyms of 32 bytes. Raises StreamUnavailable."""
    with translated_errors():
        await redis.set(TOMBSTONES, b"".join(user_hashes))


async def read_tombstones(redis: Redis) -> Set[bytes] | None:
    """Return the published tombstones; None if none were ever published. Raises StreamUnavailable."""
    with translated_errors():
        value: Any = await redis.get(TOMBSTONES)
    if value is None:
        return None
    return frozenset(value[at : at + _BYTES] for at in range(0, len(value), _BYTES))


class TombstoneSync:
    """Passes the tombstones to `renew` whenever their number has changed."""

    def __init__(self, redis: Redis, renew: Callable[[Set[bytes]], None]) -> None:
        self._redis = redis
        self._renew = renew
        self._known: int | None = None
        self._outage = OutageReport(telemetry.tombstones_unreadable)

    async def run(self, stop: asyncio.Event) -> None:
        """Check every two seconds until `stop` is set."""
        await poll(self._refresh, _SYNC_INTERVAL, stop)

    async def _refresh(self) -> None:
        with self._outage.reported():
            count = await published_tombstones(self._redis)
            if count is None or count == self._known:
                return
            tombstones = await read_tombstones(self._redis)
            if tombstones is not None:
                self._renew(tombstones)
                self._known = len(tombstones)
