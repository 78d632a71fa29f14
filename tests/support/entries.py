"""Reads the entries of a stream as bytes, and appends entries to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from redis.asyncio import Redis

from schemas.accepted import AcceptedEvent
from schemas.entry import FIELDS, WireEvent, encode
from stream.entries.producer import Producer
from stream.keys import stream_key


def as_read(event: WireEvent) -> dict[bytes, bytes]:
    """Return the fields of the entry as which an event is appended."""
    return {name: value.encode() for name, value in zip(FIELDS, event, strict=True)}


async def stream_entries(redis: Redis, partition: int = 0) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Return the ids and fields of every entry of a partition, oldest first."""
    entries: Any = await redis.xrange(stream_key(partition))
    return list(entries)


async def append_entry(redis: Redis, fields: Mapping[bytes, bytes], partition: int = 0) -> str:
    """Append an entry with these fields, without ingest; return its id."""
    written: Any = dict(fields)
    entry_id: Any = await redis.xadd(stream_key(partition), written)
    return str(entry_id.decode())


async def append_events(redis: Redis, events: Iterable[AcceptedEvent], partitions: int = 1) -> None:
    """Append the events as ingest does."""
    await Producer(redis, partitions).append([encode(one) for one in events])
