"""Decides what an event is stored as: its key, times, pseudonym and texts. Pure; the raw user id goes no further."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from ingest.faults import Rejection
from ingest.learner_names import LearnerNames
from ingest.privacy.firewall import Edit, Firewall
from schemas.accepted import AcceptedEvent
from schemas.events import AnyEvent
from schemas.identifiers import canonical_event_id, is_reserved, unix_milliseconds, uuid7_milliseconds, uuid7_time
from schemas.limits import FUTURE_TOLERANCE


@dataclass(frozen=True)
class AcceptancePolicy:
    """What holds for every event of this service."""

    names: LearnerNames
    firewall: Firewall
    raw_retention: timedelta
    """Older events would leave at once; they are rejected."""


class Acceptance(NamedTuple):
    """An event as it is stored, and what of it differs from what was sent."""

    event: AcceptedEvent
    edits: tuple[Edit, ...]


def accept(event: AnyEvent, policy: AcceptancePolicy, source: str, now: datetime) -> Acceptance | Rejection:
    """Return the event as it is stored, or why it cannot be.

    Its times must lie within the retention and near now, and its texts must not name a person.
    """
    oldest, newest = now - policy.raw_retention, now + FUTURE_TOLERANCE
    event_id, id_time = _identity(event.event_id)
    if id_time is not None and not unix_milliseconds(oldest) <= id_time <= unix_milliseconds(newest):
        detail = "The time inside this UUIDv7 is too old or in the future."
        return Rejection("event_id_time_out_of_range", "/event_id", detail)
    stated = event.timestamp
    if stated is None:
        stated = uuid7_time(event_id) if id_time is not None else now
    if stated < oldest:
        return Rejection("timestamp_too_old", "/timestamp", f"Events are kept for {policy.raw_retention.days} days.")
    if stated > newest:
        return Rejection("timestamp_in_future", "/timestamp", f"A clock may be ahead by {FUTURE_TOLERANCE} at most.")
    inspected = policy.firewall.inspect(event)
    if isinstance(inspected, Rejection):
        return inspected
    properties, edits = inspected
    accepted = AcceptedEvent(
        event_id=event_id,
        event_type=event.event_type,
        user_hash=None if event.user_id is None else policy.names.name(event.user_id),
        session_id=event.session_id,
        occurred_at=stated.astimezone(UTC),
        received_at=now,
        # The learner's own day: the date in the offset that was sent.
        activity_date=stated.date(),
        schema_version=event.schema_version,
        source=source,
        properties=properties.model_dump_json(exclude_none=True),
    )
    return Acceptance(accepted, edits)


def _identity(client_id: str | None) -> tuple[UUID, int | None]:
    """Return the key, and the Unix milliseconds inside it when the sender chose them."""
    if client_id is None:
        return uuid7(), None
    key = canonical_event_id(client_id)
    return key, None if is_reserved(key) and key.version != 7 else uuid7_milliseconds(key)
