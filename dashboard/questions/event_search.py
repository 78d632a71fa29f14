"""Resolves the query of an event search, with its cursor. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from dashboard.answers.event_cursor import Cursor, parse_cursor
from dashboard.questions.parameters import EventQuery
from schemas.problems import ProblemError
from storage.answers.event_search import EventPosition, EventSearch
from web.problems import Refusal, invalid_parameters

_DEFAULT_WINDOW: Final = timedelta(hours=24)
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


def resolve_search(
    query: EventQuery, pseudonyms: Sequence[bytes] | None, session: UUID | None, now: datetime
) -> tuple[EventSearch, EventPosition | None]:
    """Return the search, and the position after which its page begins; None for the first page. Raises Refusal (422).

    `pseudonyms` and `session`: the stored forms of the ids of the query.
    """
    cursor = _cursor(query.cursor) if query.cursor is not None else None
    since, until = _window(query, cursor, now)
    search = EventSearch(
        since=since,
        until=until,
        types=tuple(query.types) or None,
        user_hashes=tuple(pseudonyms) if pseudonyms is not None else None,
        session_id=session,
    )
    if cursor is None:
        return search, None
    if not cursor.belongs_to(search):
        raise _wrong("cursor", "foreign_cursor", "It belongs to another query: send the same query, or no cursor.")
    return search, cursor.after


def _cursor(text: str) -> Cursor:
    try:
        return parse_cursor(text)
    except ValueError:
        raise _wrong("cursor", "damaged_cursor", "This is not the `next_cursor` of an answer.") from None


def _window(query: EventQuery, cursor: Cursor | None, now: datetime) -> tuple[datetime, datetime]:
    given = _in_utc("since", query.since), _in_utc("until", query.until)
    if cursor is not None:
        # a different window makes another search
        return given[0] or cursor.since, given[1] or cursor.until
    until = given[1] or now
    since = given[0] or max(until, _EARLIEST + _DEFAULT_WINDOW) - _DEFAULT_WINDOW
    if since >= until:
        raise _wrong("since", "window_empty", "It must be before `until`, whose default is now.")
    return since, until


def _in_utc(parameter: str, moment: datetime | None) -> datetime | None:
    try:
        return moment and moment.astimezone(UTC)
    except OverflowError:
        raise _wrong(parameter, "out_of_range", "The year must be from 1 to 9999.") from None


def _wrong(parameter: str, code: str, detail: str) -> Refusal:
    return invalid_parameters([ProblemError(code=code, parameter=parameter, detail=detail)])
