"""Decides what an event is stored as: its key, times, pseudonym and texts. Pure; the raw user id goes no further."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import MINYEAR, UTC, datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple, Self

from uuid_utils.compat import uuid7

from ingest.faults import Rejection
from ingest.learner_names import LearnerNames
from ingest.privacy import own_id
from ingest.privacy.firewall import Edit, Firewall
from schemas.entry import WireEvent
from schemas.envelope_fields import OpaqueSession
from schemas.events import AnyEvent
from schemas.identifiers import canonical_event_id, is_reserved, milliseconds_of, time_of, unix_milliseconds
from schemas.limits import FUTURE_TOLERANCE
from schemas.placeholders import is_artefact

_UUID7: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""What `canonical_event_id` leaves as it is, and most senders send."""

_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9._:+~/-]+")
_DIGIT: Final = re.compile(r"[1-9]")
"""No artefact is plain and has a digit but zero."""

_IS_OWN: Final = "This is the user_id of this event; send an id of its own."
_OWN_EVENT_ID: Final = Rejection("personal_data", "/event_id", _IS_OWN)

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class AcceptancePolicy:
    """What holds for every event of this service."""

    names: LearnerNames
    firewall: Firewall
    raw_retention: timedelta
    """Older events would leave at once; they are rejected."""

    @cached_property
    def window_milliseconds(self) -> int:
        """How far the times of events that arrive together may be apart."""
        return (self.raw_retention + FUTURE_TOLERANCE) // timedelta(milliseconds=1)


class Arrival(NamedTuple):
    """When a request arrived, and the times its events may have."""

    now: datetime
    text: str
    oldest: datetime
    newest: datetime
    oldest_id: int
    """Unix milliseconds, as the next."""
    newest_id: int

    @classmethod
    def at(cls, now: datetime, policy: AcceptancePolicy) -> Self:
        """Return that of `now`, which is in UTC."""
        oldest, newest = now - policy.raw_retention, now + FUTURE_TOLERANCE
        oldest_id = unix_milliseconds(oldest)
        return cls(now, now.isoformat(), oldest, newest, oldest_id, oldest_id + policy.window_milliseconds)


class Acceptance(NamedTuple):
    """An event as it is stored, and what of it differs from what was sent."""

    event: WireEvent
    edits: tuple[Edit, ...]


def accept(event: AnyEvent, policy: AcceptancePolicy, source: str, arrival: Arrival) -> Acceptance | Rejection:
    """Return the event as it is stored, or why it cannot be.

    Its times must lie within the retention and near now, and its texts must not name a person.
    """
    sent_id, session = event.event_id, event.session_id
    if sent_id is None:
        event_id, id_time = str(uuid7()), None
    elif _UUID7.fullmatch(sent_id):
        event_id, id_time = sent_id, milliseconds_of(sent_id)
    else:
        # a UUIDv7 names nobody, any other text might
        refused = _refused_id(sent_id, event.user_id, policy.firewall)
        if refused is not None:
            return refused
        event_id, id_time = _identity(sent_id, source)
    if id_time is not None and not arrival.oldest_id <= id_time <= arrival.newest_id:
        detail = "The time inside this UUIDv7 is too old or in the future."
        return Rejection("event_id_time_out_of_range", "/event_id", detail)
    stated = event.timestamp
    if stated is None:
        stated = time_of(id_time) if id_time is not None else arrival.now
    # before it is compared: with another offset each comparison would ask for it
    occurred_at = _in_utc(stated)
    if not arrival.oldest <= occurred_at <= arrival.newest:
        return _out_of_window(occurred_at, policy, arrival)
    session_id = str(policy.names.session(session.name)) if isinstance(session, OpaqueSession) else session or ""
    user_id = event.user_id
    own = own_id.search_key(user_id)
    if own is not None and own[1:-1] in (event_id, session_id):
        return Rejection("personal_data", "/event_id" if own[1:-1] == event_id else "/session_id", _IS_OWN)
    inspected = policy.firewall.inspect(event.properties, own)
    if isinstance(inspected, Rejection):
        return inspected
    properties, edits = inspected
    accepted = WireEvent(
        event_id,
        event.event_type,
        "" if user_id is None else policy.names.name(user_id),
        session_id,
        occurred_at.isoformat(),
        arrival.text,
        # The learner's own day: the date in the offset that was sent.
        stated.date().isoformat(),
        str(event.schema_version),
        source,
        properties.to_json(),
    )
    return Acceptance(accepted, edits)


def _out_of_window(occurred_at: datetime, policy: AcceptancePolicy, arrival: Arrival) -> Rejection:
    if occurred_at < arrival.oldest:
        return Rejection("timestamp_too_old", "/timestamp", f"Events are kept for {policy.raw_retention.days} days.")
    return Rejection("timestamp_in_future", "/timestamp", f"A clock may be ahead by {FUTURE_TOLERANCE} at most.")


def _refused_id(event_id: str, user_id: str | None, firewall: Firewall) -> Rejection | None:
    is_common = _PLAIN_ID.fullmatch(event_id) is not None and _DIGIT.search(event_id) is not None
    if not is_common and is_artefact(event_id):
        # events that have it in common would count once
        return Rejection("placeholder_id", "/event_id", "This id stands for nothing; send the real one, or none.")
    own = own_id.search_key(user_id)
    if own is not None and own_id.is_whole(event_id, own):
        # it is stored as a hash without a key, which everybody can compute for an id they know
        return _OWN_EVENT_ID
    return firewall.inspect_id(event_id)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # the first or the last day of the calendar, beyond which there is nothing
        return _FIRST if moment.year == MINYEAR else _LAST


def _identity(client_id: str, source: str) -> tuple[str, int | None]:
    """Return the key, and the Unix milliseconds inside it when the sender chose them."""
    key = canonical_event_id(client_id, source)
    return str(key), None if is_reserved(key) and key.version != 7 else milliseconds_of(str(key))
