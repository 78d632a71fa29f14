"""Events that still come of erased learners: noticed within seconds of the commit that kept them out, and removed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from processors.erasure import remove_suppressed
from storage.database.pool import Pool
from storage.privacy.erasure import count_suppressed
from storage.privacy.residue import SUPPRESSED, note_residue
from stream.connection import Redis

FULL_PASS: Final = timedelta(hours=1)
"""Everything is looked at this often, whatever the books say."""

OVERLAP: Final = timedelta(minutes=5)
"""Longer than a batch takes: an entry is settled at the time its transaction began."""

LIVE_WORKERS_KNOW: Final = timedelta(minutes=10)
"""After this no live worker publishes events of a learner who was erased."""


class Look(NamedTuple):
    """What is known after a pass."""

    kept_out: int | None
    """Entries that were ever kept out, all of which are removed; None when some were left."""
    at: datetime
    """What was kept out before is removed, but for transactions that were under way."""
    full_at: datetime
    """When everything was looked at last."""


class Pass(NamedTuple):
    """What is to be looked at."""

    since: datetime
    is_full: bool


def next_pass(last: Look | None, kept_out: int, now: datetime, retention: timedelta) -> Pass | None:
    """Return what is to be looked at, so many entries having ever been kept out; None: nothing is new. Pure."""
    if last is None or now - last.full_at >= FULL_PASS:
        return Pass(now - retention, is_full=True)
    return None if kept_out == last.kept_out else Pass(last.at - OVERLAP, is_full=False)


class LateEvents:
    """Removes what came, as one leader of maintenance knows it."""

    def __init__(self, redis: Redis, pool: Pool, retention: timedelta, ignored: Collection[str]) -> None:
        """`retention` is that of the stream; groups that are `ignored` are not waited for."""
        self._redis = redis
        self._pool = pool
        self._retention = retention
        self._ignored = ignored
        self._last: Look | None = None

    async def remove(self, now: datetime) -> int | None:
        """Return how many entries and live messages were removed; None when nothing new was kept out.

        Raises DependencyUnavailable; then the next call does it.
        """
        last, kept_out = self._last, await count_suppressed(self._pool)
        todo = next_pass(last, kept_out, now, self._retention)
        if todo is None:
            return None
        if last is not None and kept_out != last.kept_out:
            # before the removal, which may have to wait
            await note_residue(self._pool, [SUPPRESSED])
        erased_since = None if todo.is_full else now - LIVE_WORKERS_KNOW
        done = await remove_suppressed(self._redis, self._pool, todo.since, self._ignored, erased_since=erased_since)
        full_at = now if last is None or todo.is_full else last.full_at
        self._last = Look(None, todo.since + OVERLAP, full_at) if done.waiting else Look(kept_out, now, full_at)
        return done.removed
