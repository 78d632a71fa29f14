"""Turns a Segment message into an event as a native sender would send it, or says why it is none. Pure.

Nothing is judged here but what only Segment has: values pass as they are, for our schemas to judge as strictly as ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ingest.accept import Acceptance
from ingest.faults import Rejection, pointer
from ingest.segment.mapping import SESSION_ID, EventMapping, Rule
from ingest.segment.messages import TRACK, UNSUPPORTED, SegmentMessage

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass(frozen=True)
class Translation:
    """An event, and where its parts were in the message."""

    event: Mapping[str, Any]
    origins: Mapping[str, str]
    """JSON Pointers into the message by those into the event, where they differ."""

    def retold(self, judged: Acceptance | Rejection) -> Acceptance | Rejection:
        """Return the judgement with pointers into the message: its sender never saw the event."""
        if isinstance(judged, Rejection):
            return replace(judged, pointer=self._origin(judged.pointer))
        return judged._replace(edits=tuple(edit._replace(pointer=self._origin(edit.pointer)) for edit in judged.edits))

    def _origin(self, place: str) -> str:
        for ours, theirs in self.origins.items():
            if place == ours or place.startswith(f"{ours}/"):
                return theirs + place[len(ours) :]
        return place


def translate(raw: Any, mapping: EventMapping) -> Translation | Rejection:
    """Return the event in a message; else `unsupported_call` for a call without one, or what is wrong with it."""
    if not isinstance(raw, dict):
        return Rejection("not_an_object", "", "A message is a JSON object.")
    message = SegmentMessage.model_validate(raw)
    if message.type is None:
        return Rejection("missing_property", "/type", "type says which call this is.")
    if message.type in UNSUPPORTED:
        return Rejection("unsupported_call", "", "Nothing in this call may be stored; only track is.")
    if message.type != TRACK:
        return Rejection("invalid_value", "/type", f"type is {TRACK} or one of {', '.join(UNSUPPORTED)}.")
    return _translate_track(message, mapping)


def _translate_track(message: SegmentMessage, mapping: EventMapping) -> Translation | Rejection:
    if message.event is None:
        return Rejection("missing_property", "/event", "event is the name of what happened.")
    if not isinstance(message.event, str):
        return Rejection("invalid_type", "/event", "The name of an event is a text.")
    rule = mapping.rule_for(message.event)
    if rule is None:
        return Rejection("unknown_event", "/event", "No type has this name, and no rule of the mapping file either.")
    given = {} if message.properties is None else message.properties
    if not isinstance(given, dict):
        return Rejection("invalid_type", "/properties", "properties is a JSON object.")
    renamed = _renamed(given, rule)
    return renamed if isinstance(renamed, Rejection) else _event(message, rule, *renamed)


def _renamed(given: Mapping[str, Any], rule: Rule) -> tuple[dict[str, Any], dict[str, str]] | Rejection:
    """Return the properties under our names, and the sender's names for them."""
    properties: dict[str, Any] = {}
    names = {ours: theirs for theirs, ours in rule.properties.items()}
    for theirs, value in given.items():
        if theirs in rule.ignore:
            continue
        ours = rule.properties.get(theirs, theirs)
        if ours in properties:
            detail = "Two properties of this message stand for the same one of ours; send one of them."
            return Rejection("ambiguous_property", pointer(("properties", theirs)), detail)
        properties[ours], names[ours] = value, theirs
    return properties, names


def _event(message: SegmentMessage, rule: Rule, properties: dict[str, Any], names: Mapping[str, str]) -> Translation:
    origins = {pointer(("properties", ours)): pointer(("properties", theirs)) for ours, theirs in names.items()}
    is_anonymous = message.user_id in (None, "")
    has_timestamp = message.timestamp is not None
    event = {
        "event_type": rule.event_type.value,
        "event_id": message.message_id,
        "user_id": message.anonymous_id if is_anonymous else message.user_id,
        "timestamp": message.timestamp if has_timestamp else message.original_timestamp,
    }
    session_id = properties.get(SESSION_ID)
    if isinstance(session_id, str) and _UUID.fullmatch(session_id):
        event[SESSION_ID] = properties.pop(SESSION_ID)
    envelope = {
        "/event_type": "/event",
        "/event_id": "/messageId",
        "/user_id": "/anonymousId" if is_anonymous and message.anonymous_id is not None else "/userId",
        "/timestamp": "/timestamp" if has_timestamp else "/originalTimestamp",
    }
    present = {name: value for name, value in event.items() if value is not None}
    return Translation(present | {"properties": properties}, envelope | origins)
