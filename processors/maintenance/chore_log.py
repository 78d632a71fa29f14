"""Remembers the last runs of the chores of this process, and publishes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from processors.maintenance.chore import Chore
from runtime.clock import utc_now
from runtime.errors import DependencyUnavailable
from stream.registry.chores import ChoreRecord, publish_chores
from stream.server.connection import Redis

PUBLISH_INTERVAL: Final = timedelta(seconds=10)


class ChoreLog:
    """The last runs of each chore since this process began to lead."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._records: dict[str, ChoreRecord] = {}

    @property
    def chore(self) -> Chore:
        """The chore that publishes the records."""
        return Chore("publish_chores", PUBLISH_INTERVAL, self._publish)

    def begin(self, chores: Iterable[Chore], now: datetime) -> None:
        """Forget earlier runs: this process leads from `now` on."""
        self._records = {chore.name: ChoreRecord(name=chore.name, every=chore.every, since=now) for chore in chores}

    def succeeded(self, chore: str) -> None:
        """Record a success of a chore."""
        self._records[chore].succeeded_at = utc_now()

    def failed(self, chore: str, error: DependencyUnavailable) -> None:
        """Record a failure of a chore."""
        record = self._records[chore]
        record.failed_at, record.error = utc_now(), str(error)

    async def _publish(self) -> str:
        await publish_chores(self._redis, list(self._records.values()))
        return f"published {len(self._records)}"
