"""Raw events as they are answered, and what the audit log records of a search. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pydantic_core import from_json

from schemas.accepted import AcceptedEvent
from schemas.answers.events import StoredEvent
from storage.answers.event_search import EventSearch


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A page of events, in JSON."""

    content: bytes
    span: dict[str, str]
    """Extent of the search, for the audit log."""
    shown: tuple[bytes, ...]
    """Pseudonyms of the learners on the page, for the audit log."""


def stored_event(event: AcceptedEvent) -> StoredEvent:
    """Return the event as it is answered. Its pseudonym is in hexadecimal."""
    return StoredEvent(
        event_id=event.event_id,
        event_type=event.event_type,
        user_hash=event.user_hash.hex() if event.user_hash is not None else None,
        session_id=event.session_id,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        activity_date=event.activity_date,
        schema_version=event.schema_version,
        source=event.source,
        properties=from_json(event.properties),
    )


def shown_in(events: Iterable[AcceptedEvent], subject: Collection[bytes] | None) -> tuple[bytes, ...]:
    """Return the pseudonyms of the learners of these events, except the subject of the search."""
    learners = dict.fromkeys(event.user_hash for event in events if event.user_hash is not None)
    return tuple(one for one in learners if one not in (subject or ()))


def span_of(search: EventSearch) -> dict[str, str]:
    """Return the extent of a search, for the audit log. It names no session, which belongs to a learner."""
    types = {"type": ",".join(dict.fromkeys(search.types))} if search.types else {}
    return types | {"since": search.since.isoformat(), "until": search.until.isoformat()}
