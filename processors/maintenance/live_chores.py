"""The chores of live events: old messages are removed, and a late live group skips entries."""

from __future__ import annotations

from datetime import timedelta

from processors.maintenance.chore import Chore
from runtime.settings import Settings
from stream.entries.groups import has_group
from stream.entries.lag import measure
from stream.keys import LIVE_GROUP, stream_key
from stream.live.live_history import prune
from stream.live.live_skip import skip_to_the_end
from stream.server.connection import Redis
from telemetry import internal_events as telemetry


def live_chores(settings: Settings, redis: Redis) -> list[Chore]:
    """Return the chores of live events."""

    async def prune_live_history() -> str:
        return f"removed {await prune(redis, settings.event_retention)}"

    async def skip_live() -> str:
        streams, longest = range(settings.stream_partitions), settings.live_max_lag_seconds
        return f"skipped {sum([await skip_if_late(redis, stream, longest) for stream in streams])}"

    return [
        Chore("prune_live_history", timedelta(minutes=1), prune_live_history),
        Chore("skip_live", timedelta(seconds=10), skip_live),
    ]


async def skip_if_late(redis: Redis, stream: int, longest_seconds: float) -> int:
    """Move the live group to the end of a stream if its lag exceeds the limit; return the number of skipped entries.

    Entries that a stalled group needs are not trimmed, so a stall must be bounded. Raises StreamUnavailable.
    """
    if not await has_group(redis, stream, LIVE_GROUP):
        return 0
    if (await measure(redis, stream, LIVE_GROUP)).seconds <= longest_seconds:
        return 0
    skipped = await skip_to_the_end(redis, stream)
    telemetry.live_skipped(stream_key(stream), skipped)
    return skipped
