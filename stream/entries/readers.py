"""The readers of a stream: its consumer groups, also foreign ones, and the live workers with their cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from stream.entries.cursor import Cursor, read_cursor
from stream.entries.entry import EntryId
from stream.entries.groups import read_facts, read_groups
from stream.keys import LIVE_GROUP, stream_key
from stream.server.failures import translated_errors


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader, and how far it is. A consumer group may have entries in hand; the live workers have none."""

    raw_name: bytes
    """Names of groups of other systems need not be UTF-8."""
    last_delivered: EntryId
    pending: int = 0
    """Number of entries delivered to a consumer and not settled."""
    oldest_pending: EntryId | None = None
    undelivered: int | None = None
    """Number of entries not delivered yet; None if Redis does not report it."""
    consumers: int = 0
    """Number of consumers of a group, including those that have gone; of live workers, 1 if one leads."""

    @property
    def needed(self) -> EntryId:
        """The lowest id that the reader has not settled."""
        return self.oldest_pending or self.last_delivered.next()


async def list_readers(redis: Redis, partition: int) -> list[Reader]:
    """Return every reader of a stream, or none if there is no stream. Raises StreamUnavailable."""
    with translated_errors():
        # before the groups: a group of live workers of the release before counts until there is a cursor
        cursor = await read_cursor(redis, partition)
        groups = await read_groups(redis, stream_key(partition))
        passed_over = LIVE_GROUP.encode() if cursor else None
        readers = [await _group(redis, partition, facts) for facts in groups if facts["name"] != passed_over]
        return [*readers, await _live(redis, partition, cursor)] if cursor else readers


async def find_reader(redis: Redis, partition: int, name: str) -> Reader | None:
    """Return one of our readers; None if it has not read the stream yet. Raises StreamUnavailable."""
    with translated_errors():
        if name == LIVE_GROUP and (cursor := await read_cursor(redis, partition)):
            return await _live(redis, partition, cursor)
        groups = await read_groups(redis, stream_key(partition))
        found = next((facts for facts in groups if facts["name"] == name.encode()), None)
        return await _group(redis, partition, found) if found else None


async def _group(redis: Redis, partition: int, facts: dict[str, Any]) -> Reader:
    # deliveries were read before pending entries: an entry delivered in between has a higher id than both
    summary = await redis.xpending(stream_key(partition), facts["name"])
    return Reader(
        facts["name"],
        EntryId.parse(facts["last-delivered-id"]),
        summary["pending"],
        EntryId.parse(summary["min"]) if summary["pending"] else None,
        facts["lag"],
        facts["consumers"],
    )


async def _live(redis: Redis, partition: int, cursor: Cursor) -> Reader:
    undelivered: int | None = 0
    if await redis.xrange(stream_key(partition), f"({cursor.id}", count=1):
        # entries that are published meanwhile count as undelivered
        appended = (await read_facts(redis, stream_key(partition))).get("entries-added", 0)
        undelivered = None if cursor.read is None else max(1, appended - cursor.read)
    return Reader(LIVE_GROUP.encode(), cursor.id, undelivered=undelivered, consumers=1 if cursor.leader else 0)
