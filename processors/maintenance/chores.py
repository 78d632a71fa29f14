"""The chores of maintenance: all of them, and those of the database and the streams that take moments."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from processors.maintenance import lag_measurement
from processors.maintenance.chore import Chore
from processors.maintenance.erasure_chores import erasure_chores
from processors.maintenance.live_chores import live_chores
from processors.maintenance.long_chores import long_chores
from processors.maintenance.measuring_chores import measuring_chores
from runtime.clock import utc_now
from runtime.failpoints import Failpoint, reach
from runtime.settings import Settings
from storage import api_keys, losses
from storage.answers import summary
from storage.database.leadership import TermPools
from storage.database.pool import Pool
from storage.retention import partitions
from stream.entries import continuity, groups, trimmer
from stream.keys import STORE_GROUP, stream_key
from stream.registry import api_keys as stream_api_keys
from stream.server import health
from stream.server.connection import Redis
from telemetry import internal_events as telemetry
from telemetry import leader_facts

IDLE_CONSUMER: Final = timedelta(hours=1)
"""After this idle time, a consumer without pending entries belongs to a process that has ended."""


def chores(settings: Settings, redis: Redis, pools: TermPools) -> list[Chore]:
    """Return every chore of the leading process. Those that take long use connections of their own."""
    return [
        *database_chores(settings, pools.short),
        *stream_chores(settings, redis, pools.short),
        *erasure_chores(settings, redis, pools.short),
        *live_chores(settings, redis),
        *measuring_chores(settings, redis, pools.short),
        *long_chores(settings, pools.long),
    ]


def database_chores(settings: Settings, pool: Pool) -> list[Chore]:
    """Return the chores that need Postgres alone and take moments."""

    async def ensure_partitions() -> str:
        now = utc_now()
        created = await partitions.ensure_partitions(pool, now, settings.raw_retention)
        leader_facts.PARTITION_WEEKS_AHEAD.set(await partitions.weeks_ahead(pool, now))
        return f"created {created}"

    async def refresh_summary() -> str:
        reach(Failpoint.BEFORE_REFRESH)
        await summary.refresh(pool)
        return "refreshed"

    async def measure_losses() -> str:
        return f"measured {await losses.measure_losses(pool, utc_now())}"

    return [
        Chore("ensure_partitions", timedelta(hours=1), ensure_partitions),
        Chore("refresh_summary", timedelta(seconds=settings.summary_refresh_seconds), refresh_summary),
        Chore("measure_losses", timedelta(minutes=1), measure_losses),
    ]


def stream_chores(settings: Settings, redis: Redis, pool: Pool) -> list[Chore]:
    """Return the chores of the streams."""
    streams = range(settings.stream_partitions)
    ignored = settings.trim_ignore_groups

    async def trim_streams() -> str:
        memory = await health.memory(redis)
        others = memory.used - sum([await trimmer.memory_of(redis, stream) for stream in streams])
        budget = trimmer.memory_budget(settings.stream_max_bytes, memory.limit, others) // settings.stream_partitions
        reach(Failpoint.BEFORE_TRIM)
        results = [await trimmer.trim(redis, stream, settings.event_retention, budget, ignored) for stream in streams]
        reach(Failpoint.AFTER_TRIM)
        return f"removed {sum(result.removed for result in results)}"

    async def remove_idle_consumers() -> str:
        removed = [await groups.remove_idle_consumers(redis, stream, STORE_GROUP, IDLE_CONSUMER) for stream in streams]
        return f"removed {sum(removed)}"

    async def publish_keys() -> str:
        keys = await api_keys.keys_in_force(pool)
        await stream_api_keys.publish_keys(redis, keys)
        return f"published {len(keys)}"

    async def check_streams() -> str:
        found = [await check_stream(redis, pool, stream) for stream in streams]
        return f"found {sum(found)} losses"

    async def measure_lag() -> str:
        await lag_measurement.measure(redis, streams, ignored)
        return "measured"

    return [
        Chore("trim_streams", timedelta(minutes=1), trim_streams),
        Chore("remove_idle_consumers", timedelta(minutes=10), remove_idle_consumers),
        Chore("publish_keys", timedelta(seconds=5), publish_keys),
        Chore("watch_streams", timedelta(seconds=5), check_streams),
        Chore("measure_lag", timedelta(seconds=5), measure_lag),
    ]


async def check_stream(redis: Redis, pool: Pool, stream: int) -> bool:
    """Compare a stream with its last known position and record a loss; return whether there is one.

    Entries that were appended since then and lost are known only if they were stored. Raises StreamUnavailable and
    StorageUnavailable.
    """
    known = await losses.last_position(pool, stream)
    # read before the comparison, so that a loss in between is found the next time
    position = await continuity.find_position(redis, stream)
    gap = await continuity.find_gap(redis, stream, continuity.Position(*known)) if known else None
    if gap is None:
        await losses.record_position(pool, stream, *position)
        return False
    ends = await continuity.find_position(redis, stream)
    await losses.record_loss(pool, stream, gap.missing, after=gap.after, before=gap.before, **ends._asdict())
    telemetry.stream_went_back(stream_key(stream), gap.missing, gap.after, gap.before)
    await losses.measure_losses(pool, utc_now())
    return True
