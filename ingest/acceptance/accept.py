"""Decides how an event is stored: its key, times, pseudonym and texts. Pure. Does not return the raw user id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import MINYEAR, UTC, datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple, Self

from uuid_utils.compat import uuid7

from ingest.acceptance.learner_pseudonyms import LearnerPseudonyms
from ingest.privacy import own_id
from ingest.privacy.firewall import Edit, Firewall
from ingest.rejection import Rejection
from ingest.work import WORK
from schemas.entry import WireEvent
from schemas.envelope_fields import OpaqueSession
from schemas.events import AnyEvent
from schemas.identifiers import canonical_event_id, is_reserved, milliseconds_of, time_of, unix_milliseconds
from schemas.limits import FUTURE_TOLERANCE
from schemas.text.placeholders import is_artefact

_UUID7: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""The usual form of an event id. `canonical_event_id` does not change it."""

_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9._:+~/-]+")
_DIGIT: Final = re.compile(r"[1-9]")
"""A plain id with such a digit is not a placeholder."""

_UNITS_OF_AN_ID: Final = 15
"""Work to validate and map an id that is not a UUID, in units."""
_CHARACTERS_OF_A_UNIT: Final = 8
_CHARACTERS_OF_AN_ODD_UNIT: Final = 2

_IS_OWN: Final = "This is the user_id of this event; send a separate id."
_OWN_EVENT_ID: Final = Rejection("personal_data", "/event_id", _IS_OWN)

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class AcceptancePolicy:
    """The rules for every event of this service."""

    pseudonyms: LearnerPseudonyms
    firewall: Firewall
    raw_retention: timedelta
    """Older events are rejected: retention would delete them at once."""

    @cached_property
    def window_milliseconds(self) -> int:
        """Length of the period in which event times must lie, in milliseconds."""
        return (self.raw_retention + FUTURE_TOLERANCE) // timedelta(milliseconds=1)


class Arrival(NamedTuple):
    """When a request arrived, and the period in which its event times must lie."""

    now: datetime
    text: str
    """`now` in its stored form."""
    oldest: datetime
    newest: datetime
    oldest_id: int
    """In Unix milliseconds, as is `newest_id`."""
    newest_id: int

    @classmethod
    def at(cls, now: datetime, policy: AcceptancePolicy) -> Self:
        """Return the arrival at `now`, which is in UTC."""
        oldest, newest = now - policy.raw_retention, now + FUTURE_TOLERANCE
        oldest_id = unix_milliseconds(oldest)
        return cls(now, now.isoformat(), oldest, newest, oldest_id, oldest_id + policy.window_milliseconds)


class Acceptance(NamedTuple):
    """An event as it is stored, and the fields that were changed before storage."""

    event: WireEvent
    edits: tuple[Edit, ...]


Outcome = Acceptance | Rejection
"""The result for an event of a request."""


def accept(event: AnyEvent, policy: AcceptancePolicy, source: str, arrival: Arrival) -> Outcome:
    """Return the event as it is stored, or the reason for its rejection.

    Rejects times outside the period of `arrival`, and texts that may identify a person. Does not raise.
    """
    key = _resolve_key(event, policy.firewall, source)
    if isinstance(key, Rejection):
        return key
    event_id, id_time = key
    if id_time is not None and not arrival.oldest_id <= id_time <= arrival.newest_id:
        detail = "The time inside this UUIDv7 is too old or in the future."
        return Rejection("event_id_time_out_of_range", "/event_id", detail)
    stated = event.timestamp
    if stated is None:
        stated = time_of(id_time) if id_time is not None else arrival.now
    # converted first, because comparing datetimes with other offsets is slower
    occurred_at = _in_utc(stated)
    if not arrival.oldest <= occurred_at <= arrival.newest:
        return _out_of_window(occurred_at, policy, arrival)
    session = event.session_id
    session_id = _resolve_session(session, policy) if isinstance(session, OpaqueSession) else session or ""
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
        "" if user_id is None else policy.pseudonyms.pseudonym_for(user_id),
        session_id,
        occurred_at.isoformat(),
        arrival.text,
        # the learner's local day: the date in the offset that was sent
        stated.date().isoformat(),
        str(event.schema_version),
        source,
        properties.to_json(),
    )
    return Acceptance(accepted, edits)


def _resolve_key(event: AnyEvent, firewall: Firewall, source: str) -> tuple[str, int | None] | Rejection:
    """Return the storage key of the event, and the Unix milliseconds in its UUIDv7 if the sender chose the id."""
    sent_id = event.event_id
    if sent_id is None:
        return str(uuid7()), None
    if _UUID7.fullmatch(sent_id):
        return sent_id, milliseconds_of(sent_id)
    # any other text may identify a person
    rejection = _inspect_id(sent_id, event.user_id, firewall)
    if rejection is not None:
        return rejection
    WORK.units += _UNITS_OF_AN_ID
    key = canonical_event_id(sent_id, source)
    return str(key), None if is_reserved(key) and key.version != 7 else milliseconds_of(str(key))


def _inspect_id(event_id: str, user_id: str | None, firewall: Firewall) -> Rejection | None:
    is_common = _PLAIN_ID.fullmatch(event_id) is not None and _DIGIT.search(event_id) is not None
    if not is_common:
        WORK.units += len(event_id) // _CHARACTERS_OF_AN_ODD_UNIT
        if is_artefact(event_id):
            # all events with this id would count as one
            return Rejection("placeholder_id", "/event_id", "This id is a placeholder; send the real id, or none.")
    own = own_id.search_key(user_id)
    if own is not None and own_id.is_whole(event_id, own):
        # an unkeyed hash: anyone who knows a user id could compute the key
        return _OWN_EVENT_ID
    return firewall.inspect_id(event_id)


def _resolve_session(session: OpaqueSession, policy: AcceptancePolicy) -> str:
    WORK.units += _UNITS_OF_AN_ID + len(session.name) // _CHARACTERS_OF_A_UNIT
    return str(policy.pseudonyms.session_uuid(session.name))


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # on the first or the last day of the calendar
        return _FIRST if moment.year == MINYEAR else _LAST


def _out_of_window(occurred_at: datetime, policy: AcceptancePolicy, arrival: Arrival) -> Rejection:
    if occurred_at < arrival.oldest:
        return Rejection("timestamp_too_old", "/timestamp", f"Events are kept for {policy.raw_retention.days} days.")
    return Rejection("timestamp_in_future", "/timestamp", f"A clock may be ahead by {FUTURE_TOLERANCE} at most.")
