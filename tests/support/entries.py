"""Reads the entries of a stream as bytes, and appends entries to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from redis.asyncio import Redis

from schemas.accepted import AcceptedEvent
from schemas.entry import FIELDS, ROW, WireEvent, encode, pack
from stream.entries.producer import Producer
from stream.keys import stream_key

_ESCAPES: Final = {b"\\": rb"\\", b"\t": rb"\t", b"\n": rb"\n", b"\r": rb"\r"}
_ABSENT: Final = {b"user_hash": rb"\N", b"session_id": rb"\N"}
_STARTS: Final = {b"user_hash": rb"\\x"}


def as_read(event: WireEvent) -> dict[bytes, bytes]:
    """Return the fields of the entry as which an event is appended."""
    return {ROW: pack(event).encode()}


def as_read_before(event: WireEvent) -> dict[bytes, bytes]:
    """Return the fields of the entry as which the release before appended an event."""
    return {name: value.encode() for name, value in zip(FIELDS, event, strict=True)}


def in_a_row(fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return an entry of the release before with its values in a row. Fields with other names stay beside it."""
    row = b"\t".join(_column(name, fields[name]) for name in FIELDS if name in fields)
    return {ROW: row} | {name: value for name, value in fields.items() if name not in FIELDS}


def _column(name: bytes, value: bytes) -> bytes:
    if not value and name in _ABSENT:
        return _ABSENT[name]
    return _STARTS.get(name, b"") + re.sub(rb"[\\\t\n\r]", lambda found: _ESCAPES[found[0]], value)


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
