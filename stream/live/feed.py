"""Reads the entries of a partition for a live worker: one worker leads and reads, the others stand by.

Only the cursor in Redis decides what is published (`publish.lua`). The lead saves the work of reading what another
worker publishes.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from stream.entries.cursor import LEASE
from stream.entries.entry import Entry
from stream.keys import LIVE_GROUP, LIVE_STATE, live_cursor_key, stream_key
from stream.server.connection import LONGEST_BLOCK_SECONDS
from stream.server.failures import translated_errors
from telemetry import internal_events as telemetry

_LEAD: Final = (Path(__file__).parent / "lead.lua").read_text(encoding="utf-8")
_RESIGN: Final = (Path(__file__).parent / "resign.lua").read_text(encoding="utf-8")


async def record_partitions(redis: Redis, partitions: int) -> None:
    """Tell readers of live messages in Redis how many partitions there are. Raises StreamUnavailable."""
    with translated_errors():
        await redis.hset(LIVE_STATE, "partitions", str(partitions))


class Feed:
    """The entries of one partition, for one live worker."""

    def __init__(self, redis: Redis, partition: int, name: str) -> None:
        """`name` tells the worker from all others."""
        self._redis = redis
        self._key = stream_key(partition)
        self._keys = [self._key, live_cursor_key(partition)]
        self._name = name
        self._has_led = False
        self._lead = redis.register_script(_LEAD)
        self._resign = redis.register_script(_RESIGN)

    async def lead(self) -> str | None:
        """Lead the partition, or lead on; return the cursor, or None if another worker leads. Raises StreamUnavailable.

        The lead ends `LEASE` after the last call, or after the last publication.
        """
        lease = LEASE // timedelta(milliseconds=1)
        with translated_errors():
            reply: Any = await self._lead(keys=self._keys, args=[self._name, lease, LIVE_GROUP])
        if reply is None:
            return None
        cursor, is_reset = reply
        if is_reset and self._has_led:
            telemetry.group_recreated(self._key, LIVE_GROUP)
        self._has_led = True
        return str(cursor.decode())

    async def resign(self) -> None:
        """End the lead, if this worker has it, so that another one can lead at once. Raises StreamUnavailable."""
        with translated_errors():
            await self._resign(keys=self._keys[1:], args=[self._name])

    async def read(self, after: str, count: int, block_ms: int) -> list[Entry]:
        """Return up to `count` entries after an id; none if none arrive within `block_ms`. Raises StreamUnavailable."""
        # Redis takes 0 as "wait without a limit"
        block = max(1, min(block_ms, int(LONGEST_BLOCK_SECONDS * 1000)))
        with translated_errors():
            replies: Any = await self._redis.xread({self._key: after}, count=count, block=block)
        return [Entry(entry_id.decode(), fields) for entry_id, fields in replies[0][1]] if replies else []
