"""Removes events of erased learners that arrive after the erasure, within seconds of their suppression."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from processors.maintenance.erasure import remove_suppressed
from storage.database.pool import Pool
from storage.privacy.erasure import count_suppressed
from storage.privacy.residue import SUPPRESSED, record_residue
from stream.server.connection import Redis

FULL_PASS: Final = timedelta(hours=1)
"""Interval of full checks, which do not depend on the books."""

OVERLAP: Final = timedelta(minutes=5)
"""Longer than a batch takes: an entry counts as settled at the start of its transaction."""

LIVE_WORKERS_KNOW: Final = timedelta(minutes=10)
"""After this time, every live worker has read the tombstone of an erasure."""


class Progress(NamedTuple):
    """The state after a pass."""

    suppressed: int | None
    """Number of entries ever suppressed, all of which are removed; None if some are left."""
    at: datetime
    """Entries suppressed before are removed, except those of transactions in progress at that time."""
    full_at: datetime
    """When everything was checked last."""


class Pass(NamedTuple):
    """The entries to check: those suppressed since a time."""

    since: datetime
    is_full: bool


def next_pass(last: Progress | None, suppressed: int, now: datetime, retention: timedelta) -> Pass | None:
    """Return what to check when `suppressed` entries were ever suppressed; None if nothing is new. Pure."""
    if last is None or now - last.full_at >= FULL_PASS:
        return Pass(now - retention, is_full=True)
    return None if suppressed == last.suppressed else Pass(last.at - OVERLAP, is_full=False)


class LateEvents:
    """Removes late events. Belongs to one leader of maintenance."""

    def __init__(
        self, redis: Redis, pool: Pool, retention: timedelta, ignored: Collection[str], partitions: int = 1
    ) -> None:
        """`retention` is that of the stream. Entries are removed without waiting for the `ignored` groups."""
        self._redis = redis
        self._pool = pool
        self._partitions = partitions
        self._retention = retention
        self._ignored = ignored
        self._last: Progress | None = None

    async def remove(self, now: datetime) -> int | None:
        """Return how many entries and live messages were removed; None if nothing new was suppressed.

        Raises DependencyUnavailable; the next call then removes them.
        """
        last, suppressed = self._last, await count_suppressed(self._pool)
        todo = next_pass(last, suppressed, now, self._retention)
        if todo is None:
            return None
        if last is not None and suppressed != last.suppressed:
            # noted before the removal, which may have to wait
            await record_residue(self._pool, [SUPPRESSED])
        erased_since = None if todo.is_full else now - LIVE_WORKERS_KNOW
        done = await remove_suppressed(
            self._redis,
            self._pool,
            todo.since,
            self._ignored,
            erased_since=erased_since,
            partitions=self._partitions,
        )
        full_at = now if last is None or todo.is_full else last.full_at
        self._last = (
            Progress(None, todo.since + OVERLAP, full_at) if done.waiting else Progress(suppressed, now, full_at)
        )
        return done.removed
