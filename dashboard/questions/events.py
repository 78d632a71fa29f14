"""The question for single stored events."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from http import HTTPStatus

from dashboard.answers.event_cursor import cursor_of
from dashboard.answers.event_page import RenderedPage, shown_in, span_of, stored_event
from dashboard.questions.event_search import resolve_search
from dashboard.questions.parameters import EventQuery
from dashboard.questions.question import Answer, Inquiry, json_reply
from dashboard.services import Services
from schemas.answers.events import EventPage
from schemas.answers.meta import WindowMeta
from storage.answers.event_search import SearchTooWide, position_of
from web.problems import Refusal


async def search_events(inquiry: Inquiry[EventQuery]) -> Answer:
    """Stored events, newest first, in pages. Learners are identified by pseudonyms."""
    services, query = inquiry.services, inquiry.parameters
    now = services.clock()
    read = partial(_read_page, services, query, now)
    if query.user_id is None and query.session_id is None:
        # dashboards repeat these searches, and those for rare types are slow: equal searches share one page
        key = (tuple(query.types), query.since, query.until, query.limit, query.cursor)
        page = await services.shared_pages.get(key, now, read)
    else:
        page = await read()
    return Answer(json_reply(page.content), query.span() | page.span, page.shown)


async def _read_page(services: Services, query: EventQuery, now: datetime) -> RenderedPage:
    authenticator = services.authenticator
    pseudonyms = authenticator.pseudonyms(query.user_id) if query.user_id is not None else None
    session = authenticator.session(query.session_id) if query.session_id is not None else None
    search, after = resolve_search(query, pseudonyms, session, now)
    meta = WindowMeta(
        # sampled before the database is read
        consistent_through=services.freshness.consistent_through,
        generated_at=now,
        from_=search.since,
        to=search.until,
    )
    try:
        # one more event than the page holds, to detect whether there is another page
        found = await services.archive.page(search, query.limit + 1, after)
    except SearchTooWide:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            SearchTooWide.code,
            "The search took too long: narrow `since` and `until`, or name a learner.",
        ) from None
    events = found[: query.limit]
    more = len(found) > len(events)
    page = EventPage(
        meta=meta,
        events=[stored_event(event) for event in events],
        next_cursor=str(cursor_of(search, position_of(events[-1]))) if more else None,
    )
    return RenderedPage(page.model_dump_json(by_alias=True).encode(), span_of(search), shown_in(events, pseudonyms))
