"""Reads a partition as one consumer of a group, without missing an entry.

    own pending entries (after a start or a failure) -> entries of idle consumers -> new entries

The entries of a lost reply are pending for this consumer, so after every failure it reads its own pending entries
first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from runtime.errors import StreamUnavailable
from runtime.failpoints import Failpoint, reach
from stream.entries.entry import Entry
from stream.entries.groups import ensure_group
from stream.keys import stream_key
from stream.server.connection import LONGEST_BLOCK_SECONDS
from stream.server.failures import GroupMissing, translated_errors
from telemetry import internal_events as telemetry

_START: Final = "0-0"
_CLAIM_PAGE: Final = 1_000

_Reply = tuple[bytes, dict[bytes, bytes]]


class Consumer:
    """Reads one partition, one call at a time. It does not return an entry again while that entry is in hand."""

    def __init__(
        self,
        redis: Redis,
        partition: int,
        group: str,
        name: str,
        *,
        claim_idle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Entries of others are claimed after `claim_idle_seconds` of idle time. `clock` is monotonic, in seconds."""
        self._redis = redis
        self._partition = partition
        self._key = stream_key(partition)
        self._group = group
        self._name = name
        self._claim_idle = claim_idle_seconds
        self._clock = clock
        self._in_hand: set[str] = set()
        self._own_cursor: str | None = _START
        self._claim_cursor: str | None = None
        self._next_claim = clock()

    async def join(self) -> None:
        """Create the group unless it exists. Raises StreamUnavailable."""
        await ensure_group(self._redis, self._partition, self._group)

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Return up to `count` entries, waiting up to `block_ms` for new ones. Raises StreamUnavailable."""
        try:
            with translated_errors():
                return await self._read(count, block_ms)
        except GroupMissing:
            if await ensure_group(self._redis, self._partition, self._group):
                telemetry.group_recreated(self._key, self._group)
            return []
        except StreamUnavailable:
            self._own_cursor = _START
            raise

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Acknowledge entries. Raises StreamUnavailable; the next reads then return them again."""
        try:
            with translated_errors():
                await self._redis.xack(self._key, self._group, *ids)
        except StreamUnavailable:
            self._own_cursor = _START
            raise
        finally:
            # not earlier: a read meanwhile would return them again
            self._in_hand.difference_update(ids)

    def settled(self, ids: Sequence[str]) -> None:
        """Record that entries were acknowledged by other means."""
        self._in_hand.difference_update(ids)

    async def _read(self, count: int, block_ms: int) -> list[Entry]:
        while self._own_cursor is not None:
            own = await self._own_pending(self._own_cursor, count)
            if own:
                return own
        claimed = await self._claim(count)
        if claimed:
            return claimed
        # Redis takes 0 as "wait without a limit"
        block = max(1, min(block_ms, int(LONGEST_BLOCK_SECONDS * 1000)))
        return await self._take(await self._read_group(">", count, block))

    async def _own_pending(self, cursor: str, count: int) -> list[Entry]:
        replies = await self._read_group(cursor, count, None)
        self._own_cursor = replies[-1][0].decode() if replies else None
        return await self._take(replies)

    async def _claim(self, count: int) -> list[Entry]:
        """Claim one page of entries of idle consumers if a pass is due. A page may be empty before the last one."""
        if self._claim_cursor is None:
            if self._clock() < self._next_claim:
                return []
            self._claim_cursor = _START
        reply: Any = await self._redis.xautoclaim(
            self._key,
            self._group,
            self._name,
            min_idle_time=int(self._claim_idle * 1000),
            start_id=self._claim_cursor,
            count=min(count, _CLAIM_PAGE),
        )
        cursor, entries, deleted = reply
        self._claim_cursor = cursor.decode()
        if self._claim_cursor == _START:
            self._claim_cursor = None
            self._next_claim = self._clock() + self._claim_idle / 4
        if deleted:
            telemetry.entries_lost(self._key, [entry_id.decode() for entry_id in deleted])
        taken = await self._take(entries)
        if taken:
            reach(Failpoint.AFTER_CLAIM)
            telemetry.entries_claimed(self._key, len(taken))
        return taken

    async def _read_group(self, after: str, count: int, block_ms: int | None) -> list[_Reply]:
        replies: Any = await self._redis.xreadgroup(
            self._group, self._name, {self._key: after}, count=count, block=block_ms
        )
        return replies[0][1] if replies else []

    async def _take(self, replies: Sequence[_Reply]) -> list[Entry]:
        entries = []
        lost = []
        for raw_id, fields in replies:
            entry_id = raw_id.decode()
            if not fields:
                lost.append(entry_id)
            elif entry_id not in self._in_hand:
                entries.append(Entry(entry_id, fields))
        self._in_hand.update(entry.id for entry in entries)
        if lost:
            telemetry.entries_lost(self._key, lost)
            await self._redis.xack(self._key, self._group, *lost)
        return entries
