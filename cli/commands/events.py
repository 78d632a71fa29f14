"""`analytics events`: searches stored events in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Final

import typer

from cli.audited import audited
from cli.database import open_database
from cli.event_options import Types, parse_learner_id, parse_types
from cli.event_text import format_learner, format_properties, format_type
from cli.interrupt import INTERRUPTED, run_unless_interrupted
from cli.local.dev_file import DATA_DIR, DataDir, resolve_settings
from cli.output import Column, Row, say, show_json_text, show_table
from cli.time_options import parse_time
from dashboard.answers.event_page import shown_in, span_of, stored_event
from runtime.clock import utc_now
from runtime.errors import ConfigurationError
from runtime.settings import Settings
from schemas.answers.events import StoredEvent
from storage.answers.event_search import EventSearch, read_pages

_PAGE: Final = 500
_WIDTH: Final = 200
_TIMES: Final = "90m, 24h, 7d, or a time (UTC unless it has an offset)"


def events(
    types: Types = None,
    since: Annotated[str, typer.Option(help=f"Start, inclusive: {_TIMES}.")] = "24h",
    until: Annotated[str | None, typer.Option(help=f"End, exclusive: {_TIMES}. Default: now.")] = None,
    user: Annotated[str | None, typer.Option(help="Only events of this learner, by the id that services send.")] = None,
    session: Annotated[
        str | None, typer.Option(help="Only events of this session, by the id that services send.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of events.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document per line.")] = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Show stored events, newest first. Learners appear as pseudonyms."""
    settings = resolve_settings(data_dir)
    search = _search(settings, types, since, until, user, session)
    rows: list[Row] = []
    show = _show_json if as_json else lambda event: rows.append(_row_of(event))
    shown = asyncio.run(run_unless_interrupted(_show(settings, search, limit, show)))
    if shown is None:
        raise typer.Exit(INTERRUPTED)
    if shown and not as_json:
        names = ("occurred", "type", "learner", "session", "source", "properties")
        show_table([Column(name, wraps=name == "properties") for name in names], rows, width=_WIDTH)
    say(f"{shown:,} events{'; --limit shows older ones' if shown == limit else ''}")


def _search(
    settings: Settings, types: list[str] | None, since: str, until: str | None, user: str | None, session: str | None
) -> EventSearch:
    now = utc_now()
    pseudonymizer = settings.pseudonymizer
    search = EventSearch(
        since=parse_time("--since", since, now),
        until=now if until is None else parse_time("--until", until, now),
        types=parse_types(types) or None,
        user_hashes=None if user is None else tuple(pseudonymizer().all_pseudonyms(parse_learner_id("--user", user))),
        session_id=None if session is None else pseudonymizer().session(session),
    )
    if search.since >= search.until:
        raise ConfigurationError("--since must be before --until")
    return search


async def _show(settings: Settings, search: EventSearch, limit: int, show: Callable[[StoredEvent], None]) -> int:
    subject = search.user_hashes[0] if search.user_hashes else None
    span = span_of(search) | {"limit": str(limit)}
    shown = 0
    async with (
        audited(settings, "events", subject=subject, span=span) as record_shown,
        open_database(settings, "analytics-events") as connection,
    ):
        async for page in read_pages(connection, search, limit, _PAGE):
            await record_shown(shown_in(page, search.user_hashes))
            for event in page:
                show(stored_event(event))
            shown += len(page)
    return shown


def _show_json(event: StoredEvent) -> None:
    show_json_text(event.model_dump_json())


def _row_of(event: StoredEvent) -> Row:
    return Row(
        [
            f"{event.occurred_at:%Y-%m-%d %H:%M:%S}",
            format_type(event.event_type),
            format_learner(event),
            str(event.session_id) if event.session_id else "",
            event.source,
            format_properties(event),
        ]
    )
