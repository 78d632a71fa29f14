"""Carries out erasures: the tables first, in one transaction, then the stream, as far as every group has read it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from storage.database.pool import Pool
from storage.privacy import erasure
from storage.privacy.residue import SUPPRESSED, end_suppressed, note_residue
from stream import tombstones
from stream.connection import Redis
from stream.learner_entries import remove_settled, sweep_learner
from stream.live_history import remove_learner_messages


async def publish_tombstones(redis: Redis, pool: Pool) -> bool:
    """Let ingest know who is erased; return whether there was news. Raises StreamUnavailable, StorageUnavailable."""
    if await tombstones.published_tombstones(redis) == await erasure.count_tombstones(pool):
        return False
    await tombstones.publish_tombstones(redis, await erasure.read_tombstones(pool))
    return True


async def carry_out(redis: Redis, pool: Pool, partitions: Iterable[int], ignored: Collection[str] = ()) -> int:
    """Take every open erasure a step further; return how many are done. Groups that are `ignored` are not waited for.

    Raises DependencyUnavailable.
    """
    streams = list(partitions)
    for job in await erasure.open_jobs(pool):
        if job.state == "requested":
            await erasure.erase_stored(pool, job)
    done = 0
    for job in await erasure.open_jobs(pool):
        sweeps = [await sweep_learner(redis, stream, job.user_hashes, ignored) for stream in streams]
        finished = not any(sweep.waiting for sweep in sweeps)
        # last: by now live workers are done with every entry that was there
        messages = await remove_learner_messages(redis, frozenset(job.user_hashes)) if finished else 0
        swept = erasure.Swept(sum(sweep.removed for sweep in sweeps), sum(sweep.left for sweep in sweeps), messages)
        await erasure.record_sweep(pool, job, swept, finished=finished)
        done += finished
    return done


class LateRemoval(NamedTuple):
    """What was done about what came of erased learners."""

    removed: int
    """Entries and live messages."""
    waiting: int
    """Entries that a group has not settled yet."""


async def remove_suppressed(
    redis: Redis,
    pool: Pool,
    since: datetime,
    ignored: Collection[str] = (),
    *,
    erased_since: datetime | None = None,
) -> LateRemoval:
    """Delete from the stream what came of erased learners since then, and live messages.

    Entries that a group needs stay until it has settled them, unless the group is `ignored`. The messages are those of
    learners who were erased since `erased_since`, or of all. Raises DependencyUnavailable.
    """
    suppressed = await erasure.suppressed_entries(pool, since)
    removals = [await remove_settled(redis, stream, ids, ignored) for stream, ids in suppressed.items()]
    # of the seconds in which a live worker did not know yet
    messages = await remove_learner_messages(redis, frozenset(await erasure.read_tombstones(pool, erased_since)))
    swept = erasure.Swept(sum(one.entries for one in removals), sum(one.left for one in removals), messages)
    waiting = sum(one.waiting for one in removals)
    await erasure.note_swept(pool, swept)
    removed = swept.entries + messages
    if waiting:
        await note_residue(pool, [SUPPRESSED])
    await end_suppressed(pool, removed=removed > 0, waiting=waiting > 0)
    return LateRemoval(removed, waiting)
