"""Issued API keys on their way from the database to every process that checks them.

Ingest has no database, so the keys in force are published as one document in Redis: by the command that issues or
revokes, at once, and by maintenance again and again, so that a Redis that was emptied has them soon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from pydantic import ValidationError
from redis.asyncio import Redis

from runtime.errors import StreamUnavailable
from runtime.lifecycle import wait
from schemas.access import ISSUED_KEYS, IssuedKey
from stream.failures import translated_errors
from stream.keys import API_KEYS
from telemetry import events as telemetry
from web.credentials import AccessKeys

FOLLOW_INTERVAL: Final = timedelta(seconds=1)
"""How soon a process notices that a key was issued or revoked."""


class KeysUnreadable(StreamUnavailable):
    """What is published is no list of keys."""


async def publish_keys(redis: Redis, keys: Sequence[IssuedKey]) -> None:
    """Let these keys be in force everywhere, and no others. Raises StreamUnavailable."""
    with translated_errors():
        await redis.set(API_KEYS, ISSUED_KEYS.dump_json(list(keys)))


async def read_keys(redis: Redis) -> list[IssuedKey] | None:
    """Return the keys in force; None when nobody has published any. Raises StreamUnavailable, KeysUnreadable."""
    with translated_errors():
        document = await redis.get(API_KEYS)
    if document is None:
        return None
    try:
        return ISSUED_KEYS.validate_json(document)
    except ValidationError as error:
        raise KeysUnreadable("unreadable_keys", f"{error.error_count()} faults in {API_KEYS}") from None


async def follow_keys(redis: Redis, keys: AccessKeys, stop: asyncio.Event) -> None:
    """Keep `keys` as they are published until `stop` is set; what cannot be read leaves them as they were."""
    fails = False
    while keys.takes_issued:
        try:
            published = await read_keys(redis)
        except StreamUnavailable as error:
            if not fails:
                telemetry.api_keys_unreadable(error)
            fails = True
        else:
            fails = False
            if published is not None:
                keys.renew(published)
        if await wait(stop, FOLLOW_INTERVAL.total_seconds()):
            return
    await stop.wait()
