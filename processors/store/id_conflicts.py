"""Counts duplicates that differ from the stored event: two senders, or two events of one sender, share an id.

The writer reports conflicts after its commit. They are added to the metric and to the counts that `analytics doctor`
reads. A crash in between loses a count, never an event.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from processors.retry import until_available
from runtime.errors import StorageUnavailable, StreamUnavailable
from runtime.polling import poll
from storage.batches.id_conflicts import ConflictKind, count_conflicts
from storage.batches.staged_batch import Conflict
from storage.database.pool import Pool
from telemetry import internal_events as telemetry
from telemetry.labels import IdDifference

ROLLOUT: Final = timedelta(days=1)
"""For how long after a change of the key an ingest process may still use the previous one."""
SKEW: Final = timedelta(minutes=10)
"""For how long before a change is recorded events may carry the new key: clocks of ingest processes differ."""

_INTERVAL: Final = timedelta(seconds=1)


def kind_of(conflict: Conflict, key_changes: Sequence[datetime] | None) -> ConflictKind | None:
    """Return the kind of a conflict; None if it may not be one. Pure.

    Two pseudonyms mean two learners only if both were made with one key. `key_changes` is None if unknown.
    """
    if conflict.differs_in_type:
        return ConflictKind(conflict.source, conflict.stored_source, "event_type")
    if key_changes is None:
        return None
    if any(conflict.first_received < one + ROLLOUT and one - SKEW <= conflict.last_received for one in key_changes):
        return None
    return ConflictKind(conflict.source, conflict.stored_source, "learner")


class ConflictCounter:
    """Gathers conflicts and counts them once a second.

    Its memory is bounded by what a worker stores in a second: during an outage of the database, nothing is stored.
    """

    def __init__(self, pool: Pool, key_changes: Callable[[], Awaitable[Sequence[datetime]]]) -> None:
        """`key_changes` returns when the key of pseudonyms was changed. It may raise StreamUnavailable."""
        self._pool = pool
        self._key_changes = key_changes
        self._gathered: list[Conflict] = []

    def add(self, conflicts: Sequence[Conflict]) -> None:
        """Add conflicts to count. Does not block."""
        self._gathered.extend(conflicts)

    async def run(self, stop: asyncio.Event) -> None:
        """Count once a second until `stop` is set. Call `count` once no more conflicts are added."""
        await poll(partial(self.count, stop), _INTERVAL, stop)

    async def count(self, stop: asyncio.Event) -> None:
        """Count the gathered conflicts. Waits out an outage of the database; once `stop` is set, drops them instead."""
        if not self._gathered:
            return
        gathered, self._gathered = self._gathered, []
        changes = await self._changes()
        kinds = (kind_of(conflict, changes) for conflict in gathered)
        counts = Counter(kind for kind in kinds if kind is not None)
        for kind, events in counts.items():
            telemetry.event_ids_conflicted(IdDifference(kind.differs), kind.source, kind.stored_source, events)
        try:
            await until_available(lambda: count_conflicts(self._pool, counts), stop)
        except StorageUnavailable as error:
            telemetry.conflicts_uncounted(error, len(gathered))

    async def _changes(self) -> Sequence[datetime] | None:
        try:
            return await self._key_changes()
        except StreamUnavailable as error:
            telemetry.key_changes_unknown(error)
            return None
