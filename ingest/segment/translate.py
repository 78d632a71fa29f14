"""Turns a Segment message into an event as a native sender would send it, or returns why it cannot. Pure.

Only the fields that are specific to Segment are validated here. Numeric ids become decimal text, and times get RFC 3339
form. Other values pass unchanged: the event schemas validate them as strictly as those of native senders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from ingest.acceptance.accept import Acceptance
from ingest.parsing.faults import pointer
from ingest.rejection import Rejection
from ingest.segment.mapping import SESSION_ID, EventMapping, Rule
from ingest.segment.messages import TRACK, UNSUPPORTED, SegmentMessage
from ingest.segment.timestamps import as_rfc_3339, clock_ahead, moved_back
from schemas.verdicts import Edit

CLOCK_AHEAD: Final = "clock_ahead"
"""Code of the edit of a time that was corrected by `sentAt`."""

_MAX_KEYS: Final = 32
"""More properties than any event type has."""

_LARGEST_EXACT: Final = 2**53
"""Above it, a number with a fraction may have been rounded from another whole number."""


@dataclass(frozen=True)
class Translation:
    """An event, and the origin of its parts in the message."""

    event: Mapping[str, Any]
    origins: Mapping[str, str]
    """JSON Pointers into the message by those into the event, where they differ."""
    clock_ahead: timedelta | None = None
    """How far the time was moved back; None if it was not."""

    def with_message_pointers(self, outcome: Acceptance | Rejection) -> Acceptance | Rejection:
        """Return the outcome with pointers into the message, which is what the sender knows."""
        if isinstance(outcome, Rejection):
            return replace(outcome, pointer=self._origin(outcome.pointer))
        return outcome._replace(
            edits=tuple(edit._replace(pointer=self._origin(edit.pointer)) for edit in outcome.edits)
        )

    @property
    def edits(self) -> list[dict[str, Any]]:
        """Return the changes that the translation made to values of the message."""
        if self.clock_ahead is None:
            return []
        detail = (
            f"By sentAt, the clock of the sender is ahead by {self.clock_ahead}; the time was moved back by as much."
        )
        return [Edit(pointer=self._origin("/timestamp"), code=CLOCK_AHEAD, detail=detail).model_dump()]

    def _origin(self, place: str) -> str:
        for ours, theirs in self.origins.items():
            if place == ours or place.startswith(f"{ours}/"):
                return theirs + place[len(ours) :]
        return place


def translate(
    raw: Any, mapping: EventMapping, now: datetime, ahead: timedelta | None = None
) -> Translation | Rejection:
    """Return the event in a message; `unsupported_call` for a call without an event; otherwise the fault.

    `now` is when it arrived. `ahead` is by how much the clock of the sender is ahead according to its batch; a `sentAt`
    of the message takes precedence.
    """
    if isinstance(raw, Rejection):
        return raw
    if not isinstance(raw, dict):
        return Rejection("not_an_object", "", "A message is a JSON object.")
    message = SegmentMessage.model_validate(raw)
    if message.type is None:
        return Rejection("missing_property", "/type", "type is required: it is the name of the call.")
    if message.type in UNSUPPORTED:
        return Rejection("unsupported_call", "", "Only track calls are stored; this call was ignored.")
    if message.type != TRACK:
        return Rejection("invalid_value", "/type", f"type must be {TRACK} or one of {', '.join(UNSUPPORTED)}.")
    if message.sent_at is not None:
        ahead = clock_ahead(message.sent_at, now)
    return _translate_track(message, mapping, ahead)


def _translate_track(
    message: SegmentMessage, mapping: EventMapping, ahead: timedelta | None
) -> Translation | Rejection:
    if message.event is None:
        return Rejection("missing_property", "/event", "event is required: it is the name of the event.")
    if not isinstance(message.event, str):
        return Rejection("invalid_type", "/event", "The name of an event must be a string.")
    rule = mapping.rule_for(message.event)
    if rule is None:
        return Rejection(
            "unknown_event", "/event", "No event type has this name and no rule of the mapping file matches."
        )
    given = {} if message.properties is None else message.properties
    if isinstance(given, Rejection):
        return replace(given, pointer="/properties")
    if not isinstance(given, dict):
        return Rejection("invalid_type", "/properties", "properties must be a JSON object.")
    renamed = _renamed(given, rule)
    return renamed if isinstance(renamed, Rejection) else _event(message, rule, *renamed, ahead)


def _renamed(given: Mapping[str, Any], rule: Rule) -> tuple[dict[str, Any], dict[str, str]] | Rejection:
    """Return the properties under our names, and the sender's name of each."""
    properties: dict[str, Any] = {}
    names = {ours: theirs for theirs, ours in rule.properties.items()}
    for theirs, value in given.items():
        if theirs in rule.ignore:
            continue
        ours = rule.properties.get(theirs, theirs)
        if len(properties) > _MAX_KEYS:
            detail = "Too many properties for any event type; send only its own, or ignore others in the mapping file."
            return Rejection("unknown_property", pointer(("properties", theirs)), detail)
        if ours in properties:
            detail = "Two properties of this message map to the same property; send one of them."
            return Rejection("ambiguous_property", pointer(("properties", theirs)), detail)
        properties[ours], names[ours] = value, theirs
    return properties, names


def _event(
    message: SegmentMessage,
    rule: Rule,
    properties: dict[str, Any],
    names: Mapping[str, str],
    ahead: timedelta | None,
) -> Translation | Rejection:
    session_id = _id(properties.pop(SESSION_ID, None))
    if not isinstance(session_id, str | None):
        place = pointer(("properties", names[SESSION_ID]))
        return Rejection("invalid_type", place, "session_id must be 1 to 128 characters, or a whole number.")
    origins = {pointer(("properties", ours)): pointer(("properties", theirs)) for ours, theirs in names.items()}
    is_anonymous = message.user_id in (None, "")
    has_timestamp = message.timestamp is not None
    timestamp = as_rfc_3339(message.timestamp if has_timestamp else message.original_timestamp)
    is_corrected = ahead is not None and (corrected := moved_back(timestamp, ahead)) != timestamp
    event = {
        "event_type": rule.event_type.value,
        "event_id": _id(message.message_id),
        "user_id": _id(message.anonymous_id if is_anonymous else message.user_id),
        "session_id": session_id,
        "timestamp": corrected if is_corrected else timestamp,
    }
    envelope = {
        "/event_type": "/event",
        "/event_id": "/messageId",
        "/user_id": "/anonymousId" if is_anonymous and message.anonymous_id is not None else "/userId",
        "/timestamp": "/timestamp" if has_timestamp else "/originalTimestamp",
    }
    if session_id is not None:
        envelope["/session_id"] = pointer(("properties", names[SESSION_ID]))
    present = {name: value for name, value in event.items() if value is not None}
    return Translation(present | {"properties": properties}, envelope | origins, ahead if is_corrected else None)


def _id(value: Any) -> Any:
    """Return a whole number as its decimal text, anything else unchanged."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT:
        return str(int(value))
    return str(value) if isinstance(value, int) else value
