"""Publishes when each chore of maintenance last ran, so that commands can tell without the metrics of its process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError
from redis.asyncio import Redis

from stream.keys import CHORES
from stream.server.failures import translated_errors

KEPT: Final = timedelta(hours=1)
"""How long the document outlives its process."""

OVERDUE_INTERVALS: Final = 3
GRACE: Final = timedelta(minutes=5)


class ChoreRecord(BaseModel):
    """The last runs of a chore."""

    name: str
    every: timedelta = Field(le=timedelta(days=1))
    """Time between the end of a run and the next one."""
    since: AwareDatetime
    """When this process began to lead."""
    succeeded_at: AwareDatetime | None = None
    failed_at: AwareDatetime | None = None
    error: str = ""
    """Reason of the last failure."""

    def is_overdue(self, now: datetime) -> bool:
        """Return whether the chore has missed several runs, as the alert `AnalyticsChoreOverdue` counts them."""
        return now - (self.succeeded_at or self.since) > OVERDUE_INTERVALS * self.every + GRACE


_RECORDS: Final = TypeAdapter(list[ChoreRecord])


async def publish_chores(redis: Redis, records: Sequence[ChoreRecord]) -> None:
    """Replace the published records by these. Raises StreamUnavailable."""
    with translated_errors():
        await redis.set(CHORES, _RECORDS.dump_json(list(records), exclude_defaults=True), ex=KEPT)


async def read_chores(redis: Redis) -> list[ChoreRecord] | None:
    """Return the published records; None without any, or of another release. Raises StreamUnavailable."""
    with translated_errors():
        document = await redis.get(CHORES)
    try:
        return None if document is None else _RECORDS.validate_json(document)
    except ValidationError:
        return None
