"""The chores of live events: old messages are removed, and late live workers skip entries."""

from __future__ import annotations

from datetime import timedelta

from processors.maintenance.chore import Chore
from runtime.settings import Settings
from stream.entries.lag import measure
from stream.entries.readers import find_reader
from stream.keys import LIVE_GROUP, stream_key
from stream.live.live_history import prune
from stream.live.live_skip import skip_to_the_end
from stream.server.connection import Redis
from telemetry import internal_events as telemetry


def live_chores(settings: Settings, redis: Redis) -> list[Chore]:
    """Return the chores of live events."""

    async def prune_live_history() -> str:
        return f"removed {await prune(redis, settings.event_retention, settings.stream_partitions)}"

    async def skip_live() -> str:
        streams, longest = range(settings.stream_partitions), settings.live_max_lag_seconds
        return f"skipped {sum([await skip_if_late(redis, stream, longest, len(streams)) for stream in streams])}"

    return [
        Chore("prune_live_history", timedelta(minutes=1), prune_live_history),
        Chore("skip_live", timedelta(seconds=10), skip_live),
    ]


async def skip_if_late(redis: Redis, stream: int, longest_seconds: float, partitions: int = 1) -> int:
    """Move the cursor of the live workers to the end of a stream if their lag exceeds the limit.

    Return the number of skipped entries. Entries that stalled live workers need are not trimmed, so a stall must be
    bounded. Raises StreamUnavailable.
    """
    lag = await measure(redis, stream, LIVE_GROUP)
    if lag.seconds <= longest_seconds or await find_reader(redis, stream, LIVE_GROUP) is None:
        return 0
    skipped = await skip_to_the_end(redis, stream, (lag.undelivered or 0) + lag.pending, partitions)
    telemetry.live_skipped(stream_key(stream), skipped)
    return skipped
