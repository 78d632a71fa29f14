"""Counts duplicates that are other events than the stored ones: the id that their sender chose is not its own.

The store tells them after its commit; here they are put into the metric and into the counts that `analytics doctor`
reads. A crash in between loses a count, never an event.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from processors.retry import until_available
from runtime.errors import StorageUnavailable, StreamUnavailable
from runtime.lifecycle import wait
from storage.batches.id_conflicts import ConflictKind, count_conflicts
from storage.batches.store_batch import Conflict
from storage.database.pool import Pool
from telemetry import events as telemetry

ROLLOUT: Final = timedelta(days=1)
"""How long after a change of the key some ingest process may still use the one before."""
SKEW: Final = timedelta(minutes=10)
"""How long before a change is recorded events may have come under the new key, by the clock of their ingest process."""

_PAUSE_SECONDS: Final = 1.0


def kind_of(conflict: Conflict, key_changes: Sequence[datetime] | None) -> ConflictKind | None:
    """Return what kind of conflict it is, None when it need not be one. Pure.

    Two pseudonyms are two learners only if both are of one key. `key_changes` is None when they are not known.
    """
    if conflict.differs_in_type:
        return ConflictKind(conflict.source, conflict.stored_source, "event_type")
    if key_changes is None:
        return None
    if any(conflict.first_received < one + ROLLOUT and one - SKEW <= conflict.last_received for one in key_changes):
        return None
    return ConflictKind(conflict.source, conflict.stored_source, "learner")


class ConflictCounter:
    """Gathers conflicts and counts them from time to time.

    What it holds is bounded by what a worker stores in a second: when the database is away, workers store nothing.
    """

    def __init__(self, pool: Pool, key_changes: Callable[[], Awaitable[Sequence[datetime]]]) -> None:
        """`key_changes` returns when the key of pseudonyms was changed; it raises StreamUnavailable."""
        self._pool = pool
        self._key_changes = key_changes
        self._told: list[Conflict] = []

    def add(self, conflicts: Sequence[Conflict]) -> None:
        """Take conflicts to count; never blocks."""
        self._told.extend(conflicts)

    async def run(self, stop: asyncio.Event) -> None:
        """Count what was told, once a second, until `stop` is set. Call `count` when nothing more is told."""
        while not await wait(stop, _PAUSE_SECONDS):
            await self.count(stop)

    async def count(self, stop: asyncio.Event) -> None:
        """Count what was told. Waits while the database is away; once `stop` is set, it is lost instead."""
        if not self._told:
            return
        told, self._told = self._told, []
        changes = await self._changes()
        kinds = (kind_of(conflict, changes) for conflict in told)
        counts = Counter(kind for kind in kinds if kind is not None)
        for kind, events in counts.items():
            telemetry.event_ids_conflicted(kind.differs, kind.source, kind.stored_source, events)
        try:
            await until_available(lambda: count_conflicts(self._pool, counts), stop)
        except StorageUnavailable as error:
            telemetry.conflicts_uncounted(error, len(told))

    async def _changes(self) -> Sequence[datetime] | None:
        try:
            return await self._key_changes()
        except StreamUnavailable as error:
            telemetry.key_changes_unknown(error)
            return None
