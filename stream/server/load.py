"""Measures the memory of Redis and how much of it holds entries that are not stored yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from stream.keys import STORE_GROUP, stream_key
from stream.server.failures import is_missing_key, translated_errors


@dataclass(frozen=True, slots=True)
class StreamLoad:
    """The load of Redis at one moment."""

    unsettled: int
    """Number of entries of all partitions that are not stored yet; only pending ones if Redis does not report it."""
    unsettled_bytes: int
    """Their share of the memory of the streams. Trimming cannot free it."""
    used_memory: int
    max_memory: int
    """0: no limit."""
    append_only_file: bool


async def measure_load(redis: Redis, partitions: int) -> StreamLoad:
    """Measure the server and each partition in one round trip. Raises StreamUnavailable."""
    keys = [stream_key(partition) for partition in range(partitions)]
    with translated_errors():
        async with redis.pipeline(transaction=False) as pipeline:
            pipeline.info("memory", "persistence")
            for key in keys:
                pipeline.xlen(key)
                pipeline.memory_usage(key)
                pipeline.xinfo_groups(key)
            facts, *of_streams = await pipeline.execute(raise_on_error=False)
        groups_of = of_streams[2::3]
        for reply in (facts, *of_streams[::3], *of_streams[1::3], *groups_of):
            if isinstance(reply, ResponseError) and not is_missing_key(reply):
                raise reply
        unsettled = unsettled_bytes = 0
        for length, size, groups in zip(of_streams[::3], of_streams[1::3], groups_of, strict=True):
            count = _unsettled(length, groups)
            unsettled += count
            unsettled_bytes += (size or 0) * count // max(length, 1)
    return StreamLoad(
        unsettled=unsettled,
        unsettled_bytes=unsettled_bytes,
        used_memory=int(facts["used_memory"]),
        max_memory=int(facts["maxmemory"]),
        append_only_file=bool(facts["aof_enabled"]),
    )


def _unsettled(length: int, groups: list[dict[str, Any]] | ResponseError) -> int:
    if isinstance(groups, ResponseError):
        return 0
    facts = next((facts for facts in groups if facts["name"] == STORE_GROUP.encode()), None)
    if facts is None:
        return length
    return int(facts["lag"] or 0) + int(facts["pending"])
