"""The chores that carry out erasures and purge the bytes that they leave in the files of Redis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from processors.maintenance import erasure, purge
from processors.maintenance.chore import Chore
from processors.maintenance.late_events import LateEvents
from processors.maintenance.tombstones import TombstonePublisher
from runtime.clock import utc_now
from runtime.settings import Settings
from storage.database.pool import Pool
from storage.privacy import residue
from stream.server.connection import Redis
from telemetry import leader_facts
from telemetry.labels import ErasureStore


def erasure_chores(settings: Settings, redis: Redis, pool: Pool) -> list[Chore]:
    """Return the chores of erasure. None keeps a connection to Postgres while it reads or rewrites Redis."""
    streams = range(settings.stream_partitions)
    ignored = settings.trim_ignore_groups

    async def erase_learners() -> str:
        return f"finished {await erasure.carry_out(redis, pool, streams, ignored)}"

    late = LateEvents(redis, pool, settings.event_retention, ignored, len(streams))

    async def remove_suppressed() -> str:
        removed = await late.remove(utc_now())
        return "unchanged" if removed is None else f"removed {removed}"

    async def purge_redis() -> str:
        finished = await purge.purge_redis(redis, pool, settings.erasure_purge, settings.event_retention)
        return f"finished {finished:d}"

    async def measure_residue() -> str:
        publish_residue(await residue.read_residue(pool), utc_now())
        return "measured"

    return [
        Chore("erase_learners", timedelta(seconds=2), erase_learners),
        Chore("remove_suppressed", timedelta(seconds=15), remove_suppressed),
        Chore("publish_tombstones", timedelta(seconds=5), TombstonePublisher(redis, pool).publish),
        Chore("purge_redis", timedelta(seconds=5), purge_redis),
        Chore("measure_residue", timedelta(seconds=15), measure_residue),
    ]


def publish_residue(left: Sequence[residue.Residue], now: datetime) -> None:
    """Set for how long bytes of erased learners have remained in the files of each store."""
    oldest = dict.fromkeys(ErasureStore, now)
    for place, since in left:
        store = ErasureStore.REDIS if place in residue.PLACES_IN_REDIS else ErasureStore.POSTGRES
        oldest[store] = min(oldest[store], since)
    for store, since in oldest.items():
        leader_facts.ERASURE_RESIDUE.set((now - since).total_seconds(), store)
