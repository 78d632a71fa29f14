"""Measures how far each reader of the streams is behind, and what readers keep from being trimmed."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from stream.entries import group_needs, lag, readers
from stream.keys import LIVE_GROUP, STORE_GROUP, stream_key
from stream.server import health
from stream.server.connection import Redis
from telemetry import leader_facts
from telemetry.labels import GroupKind


async def measure(redis: Redis, streams: Sequence[int], ignored: Collection[str]) -> None:
    """Measure the lag of our readers, what every reader needs, and the memory of Redis. Raises StreamUnavailable."""
    for stream, group in await groups_of(redis, streams):
        publish_lag(stream_key(stream), group, await lag.measure(redis, stream, group))
    await measure_needs(redis, streams, ignored)
    memory = await health.memory(redis)
    leader_facts.STREAM_MEMORY.set(memory.used)
    leader_facts.STREAM_MEMORY_LIMIT.set(memory.limit)


async def groups_of(redis: Redis, streams: Sequence[int]) -> list[tuple[int, str]]:
    """Return stream and name of each of our readers; live workers only where one has run. Raises StreamUnavailable."""
    live = [(stream, LIVE_GROUP) for stream in streams if await readers.find_reader(redis, stream, LIVE_GROUP)]
    return [*((stream, STORE_GROUP) for stream in streams), *live]


def publish_lag(stream: str, group: str, measured: lag.GroupLag) -> None:
    """Set the lag of a group. An unknown number of entries is NaN, never 0."""
    undelivered = measured.undelivered
    leader_facts.STREAM_LENGTH.set(measured.length, stream)
    leader_facts.LAG_KNOWN.set(0 if undelivered is None else 1, stream, group)
    leader_facts.LAG_ENTRIES.set(math.nan if undelivered is None else undelivered, stream, group)
    leader_facts.PENDING_ENTRIES.set(measured.pending, stream, group)
    leader_facts.OLDEST_PENDING.set(measured.pending_seconds, stream, group)
    leader_facts.GROUP_CONSUMERS.set(measured.consumers, stream, group)
    leader_facts.LAG_SECONDS.set(measured.seconds, stream, group)


async def measure_needs(redis: Redis, streams: Sequence[int], ignored: Collection[str]) -> None:
    """Set the age of the oldest entry that each kind of group needs. Raises StreamUnavailable.

    Names of groups of other systems are unbounded, so they are not used as label values.
    """
    for stream in streams:
        ages = dict.fromkeys(GroupKind, 0.0)
        for need in await group_needs.read_needs(redis, stream):
            kind = GroupKind(need.kind(ignored))
            ages[kind] = max(ages[kind], need.held_seconds)
        for kind, age in ages.items():
            leader_facts.OLDEST_NEEDED.set(age, stream_key(stream), kind)
