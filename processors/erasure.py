"""Carries out erasures: the tables first, in one transaction, then the stream, as far as every group has read it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from storage import erasure
from storage.pool import Pool
from stream import tombstones
from stream.connection import Redis
from stream.learner_entries import remove_settled, sweep_learner


async def publish_tombstones(redis: Redis, pool: Pool) -> bool:
    """Let ingest know who is erased; return whether there was news. Raises StreamUnavailable, StorageUnavailable."""
    if await tombstones.published_tombstones(redis) == await erasure.count_tombstones(pool):
        return False
    await tombstones.publish_tombstones(redis, await erasure.read_tombstones(pool))
    return True


async def carry_out(redis: Redis, pool: Pool, partitions: Iterable[int]) -> int:
    """Take every open erasure a step further; return how many are done. Raises DependencyUnavailable."""
    streams = list(partitions)
    for job in await erasure.open_jobs(pool):
        if job.state == "requested":
            await erasure.erase_stored(pool, job)
    done = 0
    for job in await erasure.open_jobs(pool):
        sweeps = [await sweep_learner(redis, stream, job.user_hashes) for stream in streams]
        finished = not any(sweep.waiting for sweep in sweeps)
        await erasure.record_sweep(pool, job, sum(sweep.removed for sweep in sweeps), finished=finished)
        done += finished
    return done


async def remove_suppressed(redis: Redis, pool: Pool, since: datetime) -> int:
    """Delete from the stream what came of erased learners since then; return how many entries."""
    suppressed = await erasure.suppressed_entries(pool, since)
    return sum([await remove_settled(redis, stream, ids) for stream, ids in suppressed.items()])
