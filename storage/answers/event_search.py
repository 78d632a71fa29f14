"""Searches raw events by time, learner, type or session. Pages are newest first."""

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
"""Maximum time of the query for one page."""

_SQL: Final = Path(__file__).parent / "sql"
_EVENTS: Final = (_SQL / "events.sql").read_text(encoding="utf-8")
_LEARNER_EVENTS: Final = (_SQL / "learner_events.sql").read_text(encoding="utf-8")
_BEFORE_ALL: Final = UUID(int=0)


class SearchTooWide(StorageUnavailable):
    """The query exceeded its time limit: too few events match in too long a window."""

    code: Final = "search_too_wide"

    def __init__(self) -> None:
        super().__init__(self.code, "narrow the window")


@dataclass(frozen=True, slots=True)
class EventSearch:
    """The conditions of a search. Events of the window match if they meet every condition that is not None."""

    since: datetime
    until: datetime
    """Excluded."""
    types: tuple[str, ...] | None = None
    user_hashes: tuple[bytes, ...] | None = None
    """The pseudonyms of one learner."""
    session_id: UUID | None = None


class EventPosition(NamedTuple):
    """The position of an event in the order of pages: its time, then its id."""

    occurred_at: datetime
    event_id: UUID


async def read_page(
    connection: Connection, search: EventSearch, limit: int, after: EventPosition | None = None
) -> list[AcceptedEvent]:
    """Return a page of up to `limit` events older than the position `after`, newest first.

    Pages are stable while events are stored: with the position of its last event, the next page begins where this one
    ended. Raises StorageUnavailable, and SearchTooWide if the connection has a time limit.
    """
    position = after or EventPosition(search.until, _BEFORE_ALL)
    types = None if search.types is None else list(search.types)
    arguments = (search.since, *position, types, search.session_id, limit)
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
    after = None
    while limit:
        page = await read_page(connection, search, min(limit, page_size), after)
        if not page:
            return
        yield page
        limit -= len(page)
        after = position_of(page[-1])


def position_of(event: AcceptedEvent) -> EventPosition:
    """Return the position of the event."""
    return EventPosition(event.occurred_at, event.event_id)


class EventArchive:
    """Reads through its own pool, so that no other answer waits for long searches."""

    def __init__(self, pool: Pool) -> None:
        """`pool`: read-only, with a statement timeout of STATEMENT_TIMEOUT."""
        self._pool = pool

    async def page(self, search: EventSearch, limit: int, after: EventPosition | None = None) -> list[AcceptedEvent]:
        """Return a page, as `read_page` does. Raises SearchTooWide and StorageUnavailable."""
        with translated_errors():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT.total_seconds()) as connection:
                return await read_page(connection, search, limit, after)
