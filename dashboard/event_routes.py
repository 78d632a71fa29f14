"""Single events over HTTP, for people who look into something. For keys with the scope events:read."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dashboard.audit_trail import AuditedRoute, note_asked
from dashboard.callers import require
from dashboard.event_answers import ToldPage, shown_in, span_of, stored_event
from dashboard.event_cursor import cursor_of
from dashboard.event_questions import understand
from dashboard.parameters import SomeEvents
from dashboard.problems import described
from dashboard.routes import SECURITY, AnyCaller, SomeServices
from dashboard.services import Services
from schemas.answers import EventPage, WindowMeta
from storage.answers.event_search import SearchTooWide, place_of
from web.problems import Refusal

router = APIRouter(
    prefix="/api/analytics", responses=described(), dependencies=SECURITY, tags=["events"], route_class=AuditedRoute
)


@router.get("/events", operation_id="search_events", response_model=EventPage)
async def search_events(
    request: Request, caller: AnyCaller, services: SomeServices, query: Annotated[SomeEvents, Query()]
) -> Response:
    """Stored events, newest first, under the pseudonyms of learners; a page at a time."""
    require(caller, "events:read")
    now = services.clock()
    make = partial(_page, services, query, now)
    if query.user_id is None and query.session_id is None:
        # what people watch, and what is slow when it is rare: once for all, and once on the few connections
        asked = (tuple(query.types), query.since, query.until, query.limit, query.cursor)
        page = await services.shared_pages.get(asked, now, make)
    else:
        page = await make()
    note_asked(request, query.span() | page.span, page.shown)
    return Response(page.content, media_type="application/json")


async def _page(services: Services, query: SomeEvents, now: datetime) -> ToldPage:
    pseudonyms = services.gate.pseudonyms(query.user_id) if query.user_id is not None else None
    session = services.gate.session(query.session_id) if query.session_id is not None else None
    search, behind = understand(query, pseudonyms, session, now)
    meta = WindowMeta(
        # taken before the database is read
        consistent_through=services.freshness.consistent_through,
        generated_at=now,
        from_=search.since,
        to=search.until,
    )
    try:
        # one more than is told, to know whether there is another page
        found = await services.archive.page(search, query.limit + 1, behind)
    except SearchTooWide:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            SearchTooWide.code,
            "Too little of this was found in time: narrow `since` and `until`, or name a learner.",
        ) from None
    events = found[: query.limit]
    more = len(found) > len(events)
    page = EventPage(
        meta=meta,
        events=[stored_event(event) for event in events],
        next_cursor=str(cursor_of(search, place_of(events[-1]))) if more else None,
    )
    return ToldPage(page.model_dump_json(by_alias=True).encode(), span_of(search), shown_in(events, pseudonyms))
