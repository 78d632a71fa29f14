"""Single events, found by time, learner, type or session; a page at a time, newest first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from runtime.errors import StorageUnavailable
from schemas.accepted import AcceptedEvent
from storage.answers.aggregates import ACQUIRE_TIMEOUT
from storage.database.failures import translated_errors
from storage.database.pool import Connection, Pool

STATEMENT_TIMEOUT: Final = timedelta(seconds=5)
"""Longest the database may look for one page."""

_SQL: Final = Path(__file__).parent / "sql"
_EVENTS: Final = (_SQL / "events.sql").read_text(encoding="utf-8")
_LEARNER_EVENTS: Final = (_SQL / "learner_events.sql").read_text(encoding="utf-8")
_BEFORE_ALL: Final = UUID(int=0)


class SearchTooWide(StorageUnavailable):
    """What is searched for is so rare in so long a window that the database was stopped."""

    code: Final = "search_too_wide"

    def __init__(self) -> None:
        super().__init__(self.code, "narrow the window")


@dataclass(frozen=True, slots=True)
class EventSearch:
    """Which events: all of the window that hold every condition given."""

    since: datetime
    until: datetime
    """Not included."""
    types: tuple[str, ...] | None = None
    user_hashes: tuple[bytes, ...] | None = None
    """The names of one learner."""
    session_id: UUID | None = None


class Place(NamedTuple):
    """Where an event stands: by when it happened, then by its id."""

    occurred_at: datetime
    event_id: UUID


async def read_page(
    connection: Connection, search: EventSearch, limit: int, behind: Place | None = None
) -> list[AcceptedEvent]:
    """Return the newest events that stand behind that place, newest first.

    Events that are stored meanwhile move none: asked with the place of its last event, the next page begins where this
    one ended. Raises SearchTooWide where the connection has a time limit, and StorageUnavailable.
    """
    place = behind or Place(search.until, _BEFORE_ALL)
    types = None if search.types is None else list(search.types)
    arguments = (search.since, *place, types, search.session_id, limit)
    with translated_errors():
        try:
            if search.user_hashes is None:
                rows = await connection.fetch(_EVENTS, *arguments)
            else:
                rows = await connection.fetch(_LEARNER_EVENTS, *arguments, list(search.user_hashes))
        except asyncpg.QueryCanceledError:
            raise SearchTooWide from None
    return [AcceptedEvent(*row) for row in rows]


async def read_pages(
    connection: Connection, search: EventSearch, limit: int, page_size: int
) -> AsyncIterator[list[AcceptedEvent]]:
    """Yield the newest `limit` events, page by page. Raises StorageUnavailable."""
    behind = None
    while limit:
        page = await read_page(connection, search, min(limit, page_size), behind)
        if not page:
            return
        yield page
        limit -= len(page)
        behind = place_of(page[-1])


def place_of(event: AcceptedEvent) -> Place:
    """Return where the event stands."""
    return Place(event.occurred_at, event.event_id)


class EventArchive:
    """Reads through a pool of its own, so that long searches keep no other answer waiting."""

    def __init__(self, pool: Pool) -> None:
        """Take a pool that may only read, whose statements have the limit of STATEMENT_TIMEOUT."""
        self._pool = pool

    async def page(self, search: EventSearch, limit: int, behind: Place | None = None) -> list[AcceptedEvent]:
        """Return a page as `read_page` does. Raises SearchTooWide and StorageUnavailable."""
        with translated_errors():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT.total_seconds()) as connection:
                return await read_page(connection, search, limit, behind)
