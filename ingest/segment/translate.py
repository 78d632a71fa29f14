"""Turns a Segment message into an event as a native sender would send it, or says why it is none. Pure.

Nothing is judged here but what only Segment has. Ids that are numbers become their decimal text, and times have the
form of RFC 3339; other values pass as they are, for our schemas to judge as strictly as ever.
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
"""More properties than any type has."""

_LARGEST_EXACT: Final = 2**53
"""Beyond it, a number with a fraction may stand for another whole number than the one that was meant."""


@dataclass(frozen=True)
class Translation:
    """An event, and where its parts were in the message."""

    event: Mapping[str, Any]
    origins: Mapping[str, str]
    """JSON Pointers into the message by those into the event, where they differ."""
    clock_ahead: timedelta | None = None
    """By how much the time was moved back."""

    def retold(self, outcome: Acceptance | Rejection) -> Acceptance | Rejection:
        """Return the judgement with pointers into the message: its sender never saw the event."""
        if isinstance(outcome, Rejection):
            return replace(outcome, pointer=self._origin(outcome.pointer))
        return outcome._replace(
            edits=tuple(edit._replace(pointer=self._origin(edit.pointer)) for edit in outcome.edits)
        )

    @property
    def edits(self) -> list[dict[str, Any]]:
        """Return what of the event is not as the message has it."""
        if self.clock_ahead is None:
            return []
        detail = (
            f"By sentAt the clock of the sender is ahead by {self.clock_ahead}: the time is stored so much earlier."
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
    """Return the event in a message; else `unsupported_call` for a call without one, or what is wrong with it.

    `now` is when it arrived, `ahead` by how much the clock of its batch's sender is ahead; a message may know better.
    """
    if isinstance(raw, Rejection):
        return raw
    if not isinstance(raw, dict):
        return Rejection("not_an_object", "", "A message is a JSON object.")
    message = SegmentMessage.model_validate(raw)
    if message.type is None:
        return Rejection("missing_property", "/type", "type says which call this is.")
    if message.type in UNSUPPORTED:
        return Rejection("unsupported_call", "", "Nothing in this call may be stored; only track is.")
    if message.type != TRACK:
        return Rejection("invalid_value", "/type", f"type is {TRACK} or one of {', '.join(UNSUPPORTED)}.")
    if message.sent_at is not None:
        ahead = clock_ahead(message.sent_at, now)
    return _translate_track(message, mapping, ahead)


def _translate_track(
    message: SegmentMessage, mapping: EventMapping, ahead: timedelta | None
) -> Translation | Rejection:
    if message.event is None:
        return Rejection("missing_property", "/event", "event is the name of what happened.")
    if not isinstance(message.event, str):
        return Rejection("invalid_type", "/event", "The name of an event is a text.")
    rule = mapping.rule_for(message.event)
    if rule is None:
        return Rejection("unknown_event", "/event", "No type has this name, and no rule of the mapping file either.")
    given = {} if message.properties is None else message.properties
    if isinstance(given, Rejection):
        return replace(given, pointer="/properties")
    if not isinstance(given, dict):
        return Rejection("invalid_type", "/properties", "properties is a JSON object.")
    renamed = _renamed(given, rule)
    return renamed if isinstance(renamed, Rejection) else _event(message, rule, *renamed, ahead)


def _renamed(given: Mapping[str, Any], rule: Rule) -> tuple[dict[str, Any], dict[str, str]] | Rejection:
    """Return the properties under our names, and the sender's names for them."""
    properties: dict[str, Any] = {}
    names = {ours: theirs for theirs, ours in rule.properties.items()}
    for theirs, value in given.items():
        if theirs in rule.ignore:
            continue
        ours = rule.properties.get(theirs, theirs)
        if len(properties) > _MAX_KEYS:
            detail = "No type of event has so many properties; send its own, or let the mapping file ignore the others."
            return Rejection("unknown_property", pointer(("properties", theirs)), detail)
        if ours in properties:
            detail = "Two properties of this message stand for the same one of ours; send one of them."
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
        return Rejection("invalid_type", place, "session_id is a text of 1 to 128 characters, or a whole number.")
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
    """Return an id that is a whole number as its decimal text, anything else as it is."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT:
        return str(int(value))
    return str(value) if isinstance(value, int) else value
