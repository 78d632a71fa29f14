"""Searches a stream once for the entries of all open erasures, and removes those that every group has settled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from storage.privacy.erasure import ErasureJob
from storage.privacy.sweeps import Sweep
from stream.entries.entry import BEGINNING, EntryId
from stream.entries.learner_entries import Removal, remove_settled, search_page
from stream.server.connection import Redis

PAGES: Final = 25
"""Pages of a leg: after each leg its progress is recorded, and new erasures are begun."""


class Leg(NamedTuple):
    """The part of a stream that was searched, and what it led to."""

    sweeps: dict[UUID, Sweep]
    """The state of the search for each erasure."""
    removals: dict[UUID, Removal]
    is_at_end: bool
    """Whether the stream had no later entry."""


async def sweep_stream(
    redis: Redis, partition: int, jobs: Sequence[ErasureJob], known: dict[UUID, Sweep], ignored: Collection[str] = ()
) -> Leg:
    """Search the next part of a stream for every job, and remove what may be removed of all that was found.

    The search begins where that of the job with the least progress ended. An entry is read once for all jobs, and not
    again while it waits for a group. Raises StreamUnavailable.
    """
    begun = {job.job_id: known.get(job.job_id, Sweep(job.job_id, partition, BEGINNING, ())) for job in jobs}
    found = {job_id: list(sweep.waiting) for job_id, sweep in begun.items()}
    ends = {job_id: EntryId.parse(sweep.searched_to) for job_id, sweep in begun.items()}
    wanted = {user_hash for job in jobs for user_hash in job.user_hashes}
    searched, is_at_end = min(ends.values()), False
    for _ in range(PAGES):
        page = await search_page(redis, partition, wanted, str(searched))
        for entry, user_hash in page.found:
            for job in jobs:
                if user_hash in job.user_hashes and EntryId.parse(entry.id) > ends[job.job_id]:
                    found[job.job_id].append(entry.id)
        searched, is_at_end = EntryId.parse(page.end), page.is_last
        if is_at_end:
            break
    removals = {job_id: await remove_settled(redis, partition, ids, ignored) for job_id, ids in found.items()}
    sweeps = {
        job_id: Sweep(job_id, partition, str(max(ends[job_id], searched)), removal.waiting)
        for job_id, removal in removals.items()
    }
    return Leg(sweeps, removals, is_at_end)
