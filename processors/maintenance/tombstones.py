"""Publishes the tombstones of erased learners for ingest. Repeats the erasures that a restored database has lost."""

from __future__ import annotations

from typing import Final

from storage.database.pool import Pool
from storage.privacy import erasure
from stream.registry import tombstones
from stream.server.connection import Redis

RESTORE: Final = "restore"
"""Who requests the erasures that are repeated."""


class TombstonePublisher:
    """Keeps the published tombstones equal to those of the database. Belongs to one maintenance process."""

    def __init__(self, redis: Redis, pool: Pool) -> None:
        self._redis = redis
        self._pool = pool
        self._is_compared = False

    async def publish(self) -> str:
        """Publish the tombstones if they changed; return a summary. Raises DependencyUnavailable.

        Tombstones are never removed. One that is published but not in the database was lost in a restore: its learner
        is erased again.
        """
        published = await tombstones.published_tombstones(self._redis)
        # after a restore the number may be the same by chance
        if self._is_compared and published == await erasure.count_tombstones(self._pool):
            return "unchanged"
        known = await tombstones.read_tombstones(self._redis) or frozenset()
        lost = known - set(await erasure.read_tombstones(self._pool))
        if lost:
            await erasure.request_erasure(self._pool, sorted(lost), RESTORE)
        stored = await erasure.read_tombstones(self._pool)
        await tombstones.publish_tombstones(self._redis, stored)
        self._is_compared = True
        return f"published {len(stored)}, {len(lost)} of them lost in a restore" if lost else f"published {len(stored)}"
