"""Appends accepted events to the stream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from redis.asyncio import Redis

from schemas.accepted import AcceptedEvent
from schemas.stream_entry import FIELDS, encode
from stream.failures import translated_errors
from stream.keys import stream_key

MAX_EVENTS_PER_CALL: Final = 1_000
"""Bounds how long one script keeps Redis from everybody else."""

_SCRIPT: Final = (Path(__file__).parent / "append.lua").read_text(encoding="utf-8")


def partition_of(user_hash: bytes | None, event_id: UUID, partitions: int) -> int:
    """Return the partition of an event: always the same one for a learner, any for events of nobody."""
    source = user_hash if user_hash is not None else event_id.bytes[8:]
    return int.from_bytes(source[:8], "big") % partitions


class Producer:
    """Appends over a client; one script call takes many events."""

    def __init__(self, redis: Redis, partitions: int) -> None:
        self._partitions = partitions
        self._append = redis.register_script(_SCRIPT)

    async def append(self, events: Sequence[AcceptedEvent]) -> None:
        """Append the events, in order. Returns when Redis has them, as durably as it is configured.

        Raises StreamUnavailable; then some may have been appended, so their senders must repeat them with the same ids.
        """
        by_partition: dict[int, list[AcceptedEvent]] = {}
        for event in events:
            partition = partition_of(event.user_hash, event.event_id, self._partitions)
            by_partition.setdefault(partition, []).append(event)
        for partition, those in by_partition.items():
            for start in range(0, len(those), MAX_EVENTS_PER_CALL):
                await self._call(partition, those[start : start + MAX_EVENTS_PER_CALL])

    async def _call(self, partition: int, events: Sequence[AcceptedEvent]) -> None:
        arguments: list[str | bytes | int] = [len(FIELDS), *FIELDS]
        for event in events:
            arguments.extend(encode(event))
        with translated_errors():
            await self._append(keys=[stream_key(partition)], args=arguments)
