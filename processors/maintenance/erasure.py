"""Carries out erasures: the tables first, in one transaction, then the entries that every group has settled."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from storage.database.pool import Pool
from storage.privacy import erasure
from storage.privacy.residue import SUPPRESSED, clear_suppressed_residue, record_residue
from stream.entries.learner_entries import remove_settled, sweep_learner
from stream.live.live_history import remove_learner_messages
from stream.server.connection import Redis


async def carry_out(redis: Redis, pool: Pool, partitions: Iterable[int], ignored: Collection[str] = ()) -> int:
    """Advance every open erasure by one step; return how many are done. Raises DependencyUnavailable.

    An erasure waits for every group to settle its entries, except for the `ignored` groups.
    """
    streams = list(partitions)
    for job in await erasure.open_jobs(pool):
        if job.state == "requested":
            await erasure.erase_stored(pool, job)
    done = 0
    for job in await erasure.open_jobs(pool):
        sweeps = [await sweep_learner(redis, stream, job.user_hashes, ignored) for stream in streams]
        finished = not any(sweep.waiting for sweep in sweeps)
        # last: by now live workers have settled every entry of the learner
        messages = await remove_learner_messages(redis, frozenset(job.user_hashes)) if finished else 0
        swept = erasure.Swept(sum(sweep.removed for sweep in sweeps), sum(sweep.left for sweep in sweeps), messages)
        await erasure.record_sweep(pool, job, swept, finished=finished)
        done += finished
    return done


class LateRemoval(NamedTuple):
    """What was removed of events that arrived after an erasure."""

    removed: int
    """Entries and live messages."""
    waiting: int
    """Entries that some group has not settled yet."""


async def remove_suppressed(
    redis: Redis,
    pool: Pool,
    since: datetime,
    ignored: Collection[str] = (),
    *,
    erased_since: datetime | None = None,
) -> LateRemoval:
    """Delete the entries of erased learners that were settled since `since`, and their live messages.

    An entry stays until every group but the `ignored` ones has settled it. Messages are those of learners erased since
    `erased_since`; of all erased learners if it is None. Raises DependencyUnavailable.
    """
    suppressed = await erasure.suppressed_entries(pool, since)
    removals = [await remove_settled(redis, stream, ids, ignored) for stream, ids in suppressed.items()]
    # published in the seconds before live workers knew of the erasure
    messages = await remove_learner_messages(redis, frozenset(await erasure.read_tombstones(pool, erased_since)))
    swept = erasure.Swept(sum(one.entries for one in removals), sum(one.left for one in removals), messages)
    waiting = sum(one.waiting for one in removals)
    await erasure.record_swept_residue(pool, swept)
    removed = swept.entries + messages
    if waiting:
        await record_residue(pool, [SUPPRESSED])
    await clear_suppressed_residue(pool, removed=removed > 0, waiting=waiting > 0)
    return LateRemoval(removed, waiting)
