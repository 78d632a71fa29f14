"""Carries out erasures: the tables first, in one transaction, then the entries that every group has settled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from processors.maintenance.stream_sweep import Leg, sweep_stream
from storage.database.pool import Pool
from storage.privacy import erasure
from storage.privacy.erasure import ErasureJob
from storage.privacy.residue import SUPPRESSED, clear_suppressed_residue, record_residue
from storage.privacy.sweeps import read_sweeps
from stream.entries.learner_entries import remove_settled
from stream.live.live_history import remove_learner_messages
from stream.server.connection import Redis


async def carry_out(redis: Redis, pool: Pool, partitions: Iterable[int], ignored: Collection[str] = ()) -> int:
    """Advance every open erasure as far as possible; return how many are done. Raises DependencyUnavailable.

    An erasure waits for every group to settle its entries, except for the `ignored` groups. Each stream is read once
    for all erasures. One that is requested meanwhile begins within a leg, and is found by the next pass. A search that
    was interrupted continues where it ended.
    """
    streams = list(partitions)
    done, is_at_end = 0, False
    while not is_at_end:
        for job in await erasure.open_jobs(pool):
            if job.state == "requested":
                await erasure.erase_stored(pool, job)
        jobs = await erasure.open_jobs(pool)
        if not jobs:
            break
        legs = [await sweep_stream(redis, stream, jobs, await read_sweeps(pool, stream), ignored) for stream in streams]
        is_at_end = all(leg.is_at_end for leg in legs)
        done += sum([await _record(redis, pool, job, legs, may_finish=is_at_end) for job in jobs])
    return done


async def _record(redis: Redis, pool: Pool, job: ErasureJob, legs: Sequence[Leg], *, may_finish: bool) -> bool:
    removals = [leg.removals[job.job_id] for leg in legs]
    finished = may_finish and not any(removal.waiting for removal in removals)
    # last: by now live workers have settled every entry of the learner
    messages = await remove_learner_messages(redis, frozenset(job.user_hashes), len(legs)) if finished else 0
    swept = erasure.Swept(sum(one.entries for one in removals), sum(one.left for one in removals), messages)
    await erasure.record_sweep(pool, job, swept, [leg.sweeps[job.job_id] for leg in legs], finished=finished)
    return finished


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
    partitions: int = 1,
) -> LateRemoval:
    """Delete the entries of erased learners that were settled since `since`, and their live messages.

    An entry stays until every group but the `ignored` ones has settled it. Messages are those of learners erased since
    `erased_since`; of all erased learners if it is None. Raises DependencyUnavailable.
    """
    suppressed = await erasure.suppressed_entries(pool, since)
    removals = [await remove_settled(redis, stream, ids, ignored) for stream, ids in suppressed.items()]
    # published in the seconds before live workers knew of the erasure
    erased = frozenset(await erasure.read_tombstones(pool, erased_since))
    messages = await remove_learner_messages(redis, erased, partitions)
    swept = erasure.Swept(sum(one.entries for one in removals), sum(one.left for one in removals), messages)
    waiting = sum(len(one.waiting) for one in removals)
    await erasure.record_swept_residue(pool, swept)
    removed = swept.entries + messages
    if waiting:
        await record_residue(pool, [SUPPRESSED])
    await clear_suppressed_residue(pool, removed=removed > 0, waiting=waiting > 0)
    return LateRemoval(removed, waiting)
