"""Decides what an event is stored as: its key, times, pseudonym and texts. Pure; the raw user id goes no further."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import MINYEAR, UTC, datetime, timedelta
from typing import Final, NamedTuple, Self

from uuid_utils.compat import uuid7

from ingest.faults import Rejection
from ingest.learner_names import LearnerNames
from ingest.privacy.firewall import Edit, Firewall
from schemas.events import AnyEvent
from schemas.identifiers import canonical_event_id, is_reserved, milliseconds_of, time_of, unix_milliseconds
from schemas.limits import FUTURE_TOLERANCE
from schemas.stream_entry import WireEvent

_UUID7: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""What `canonical_event_id` leaves as it is, and most senders send."""

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class AcceptancePolicy:
    """What holds for every event of this service."""

    names: LearnerNames
    firewall: Firewall
    raw_retention: timedelta
    """Older events would leave at once; they are rejected."""


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
        return cls(now, now.isoformat(), oldest, newest, unix_milliseconds(oldest), unix_milliseconds(newest))


class Acceptance(NamedTuple):
    """An event as it is stored, and what of it differs from what was sent."""

    event: WireEvent
    edits: tuple[Edit, ...]


def accept(event: AnyEvent, policy: AcceptancePolicy, source: str, arrival: Arrival) -> Acceptance | Rejection:
    """Return the event as it is stored, or why it cannot be.

    Its times must lie within the retention and near now, and its texts must not name a person.
    """
    if event.event_id is None:
        event_id, id_time = str(uuid7()), None
    elif _UUID7.fullmatch(event.event_id):
        event_id, id_time = event.event_id, milliseconds_of(event.event_id)
    else:
        # a UUIDv7 names nobody, any other text might
        refused = policy.firewall.inspect_id(event.event_id)
        if refused is not None:
            return refused
        event_id, id_time = _identity(event.event_id)
    if id_time is not None and not arrival.oldest_id <= id_time <= arrival.newest_id:
        detail = "The time inside this UUIDv7 is too old or in the future."
        return Rejection("event_id_time_out_of_range", "/event_id", detail)
    stated = event.timestamp
    if stated is None:
        stated = time_of(id_time) if id_time is not None else arrival.now
    # before it is compared: with another offset each comparison would ask for it
    occurred_at = _in_utc(stated)
    if occurred_at < arrival.oldest:
        return Rejection("timestamp_too_old", "/timestamp", f"Events are kept for {policy.raw_retention.days} days.")
    if occurred_at > arrival.newest:
        return Rejection("timestamp_in_future", "/timestamp", f"A clock may be ahead by {FUTURE_TOLERANCE} at most.")
    inspected = policy.firewall.inspect(event.properties)
    if isinstance(inspected, Rejection):
        return inspected
    properties, edits = inspected
    accepted = WireEvent(
        event_id,
        event.event_type,
        "" if event.user_id is None else policy.names.name(event.user_id).hex(),
        event.session_id or "",
        occurred_at.isoformat(),
        arrival.text,
        # The learner's own day: the date in the offset that was sent.
        stated.date().isoformat(),
        str(event.schema_version),
        source,
        properties.to_json(),
    )
    return Acceptance(accepted, edits)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # the first or the last day of the calendar, beyond which there is nothing
        return _FIRST if moment.year == MINYEAR else _LAST


def _identity(client_id: str) -> tuple[str, int | None]:
    """Return the key, and the Unix milliseconds inside it when the sender chose them."""
    key = canonical_event_id(client_id)
    return str(key), None if is_reserved(key) and key.version != 7 else milliseconds_of(str(key))
