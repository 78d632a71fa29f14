"""Distributes issued API keys from the database to every process that checks them.

Ingest has no database, so the valid keys are published as one document in Redis: at once by the command that issues or
revokes a key, and periodically by maintenance, so that they are restored soon after Redis loses its data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from pydantic import ValidationError
from redis.asyncio import Redis

from runtime.errors import StreamUnavailable
from runtime.polling import OutageReport, poll
from schemas.access import ISSUED_KEYS, IssuedKey
from stream.keys import API_KEYS
from stream.server.failures import translated_errors
from telemetry import internal_events as telemetry
from web.credentials import AccessKeys

SYNC_INTERVAL: Final = timedelta(seconds=1)
"""Interval at which a process reads the published keys."""


class KeysUnreadable(StreamUnavailable):
    """The published document is not a list of keys."""


async def publish_keys(redis: Redis, keys: Sequence[IssuedKey]) -> None:
    """Replace the published keys by these. Raises StreamUnavailable."""
    with translated_errors():
        await redis.set(API_KEYS, ISSUED_KEYS.dump_json(list(keys)))


async def read_keys(redis: Redis) -> list[IssuedKey] | None:
    """Return the published keys; None if none were ever published. Raises StreamUnavailable, KeysUnreadable."""
    with translated_errors():
        document = await redis.get(API_KEYS)
    if document is None:
        return None
    try:
        return ISSUED_KEYS.validate_json(document)
    except ValidationError as error:
        raise KeysUnreadable("unreadable_keys", f"{error.error_count()} faults in {API_KEYS}") from None


class KeySync:
    """Keeps the keys of this process equal to the published ones. While those are unreadable, the last known stay."""

    def __init__(self, redis: Redis, keys: AccessKeys) -> None:
        self._redis = redis
        self._keys = keys
        self._outage = OutageReport(telemetry.api_keys_unreadable)

    async def run(self, stop: asyncio.Event) -> None:
        """Read the published keys every second until `stop` is set. Without issued keys, only wait for `stop`."""
        if self._keys.accepts_issued:
            await poll(self._refresh, SYNC_INTERVAL, stop)
        await stop.wait()

    async def _refresh(self) -> None:
        with self._outage.reported():
            published = await read_keys(self._redis)
            if published is not None:
                self._keys.renew(published)
