"""Builds an event from the arguments of a call: a dict in the form of the API, then JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from numbers import Integral
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from .errors import InvalidEvent
from .event_ids import uuid7
from .no_fork import NO_FORK
from .schemas.events import EVENT
from .schemas.identifiers import unix_milliseconds
from .schemas.problems import safe_name
from .schemas.two_forms import first_fault

Id = str | int | UUID
"""Ids are opaque. Every type is sent as text."""


def new_event(
    event_type: str,
    user_id: Id | None,
    properties: Mapping[str, Any] | None,
    session_id: Id | None,
    timestamp: datetime | str | None,
    event_id: Id | None,
    *,
    now: datetime,
    chance: int,
) -> dict[str, Any]:
    """Return the event of a call, with an id and a timestamp that do not change when it is sent again.

    Omits fields that are None. The learner's day is the date in the offset of the timestamp, which defaults to `now`.
    Raises InvalidEvent for an argument of a wrong type.
    """
    if not isinstance(event_type, str):
        raise InvalidEvent("event", "/event_type", "invalid_type", "must be an EventType or its name")
    name = safe_name(str.__str__(event_type))
    moment = timestamp if timestamp is not None else now
    if not isinstance(moment, (datetime, str)):
        raise InvalidEvent(name, "/timestamp", "invalid_type", "must be a datetime or a str")
    event = {
        "event_type": str.__str__(event_type),
        "event_id": new_event_id(now, chance) if event_id is None else _text(event_id, name, "/event_id"),
        "timestamp": moment.isoformat() if isinstance(moment, datetime) else moment,
        "user_id": None if user_id is None else _text(user_id, name, "/user_id"),
        "session_id": None if session_id is None else _text(session_id, name, "/session_id"),
    }
    facts = _facts(properties, name)
    return {key: value for key, value in event.items() if value is not None} | {"properties": facts}


_NO_KNOWN_TYPE: Final = frozenset(("union_tag_invalid", "union_tag_not_found"))


def new_event_id(now: datetime, chance: int) -> str:
    """Return a new event id."""
    return str(uuid7(unix_milliseconds(now), chance))


def _facts(properties: object, name: str) -> dict[str, Any]:
    """Return the properties that are not None, with ids as text."""
    if properties is None:
        return {}
    if not isinstance(properties, Mapping) or not all(isinstance(key, str) for key in properties):
        raise InvalidEvent(name, "/properties", "invalid_type", "must be a mapping with str keys")
    return {
        key: _text(value, name, f"/properties/{safe_name(key)}") if key.endswith("_id") else value
        for key, value in properties.items()
        if value is not None
    }


def _text(value: object, name: str, pointer: str) -> str:
    text = id_text(value)
    if text is None:
        raise InvalidEvent(name, pointer, "invalid_type", "an id is str, int or UUID")
    return text


def id_text(value: object) -> str | None:
    """Return an id as text, or None for a value that cannot be an id."""
    if isinstance(value, str):
        # for a str Enum, str() would return the name of the member
        return str.__str__(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, Integral):
        return str(int(value))
    return str(value) if isinstance(value, UUID) else None


def encoded(event: Mapping[str, Any], max_bytes: int) -> bytes:
    """Return the event as JSON, validated by the rules of ingest. Raises InvalidEvent."""
    name = safe_name(str(event.get("event_type")))
    try:
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        # not chained, because the error quotes the value
        raise InvalidEvent(name, _unwritable(event), "not_json") from None
    if len(body) > max_bytes:
        raise InvalidEvent(name, "", "event_too_large")
    try:
        with NO_FORK:
            EVENT.validate_json(body)
    except ValidationError as error:
        fault = first_fault(error)
        # the first part of the location is the event type, which selected the model
        pointer = "".join(f"/{safe_name(str(part))}" for part in fault.location[1:])
        if fault.kind in _NO_KNOWN_TYPE:
            pointer = "/event_type"
        raise InvalidEvent(name, pointer, fault.kind) from None
    return body


def _unwritable(event: Mapping[str, Any]) -> str:
    """Return the JSON Pointer of the first field that cannot be written as JSON; empty if unknown."""
    properties = event.get("properties")
    parts = [("/properties/", properties.items())] if isinstance(properties, Mapping) else []
    for prefix, items in [*parts, ("/", event.items())]:
        for key, value in items:
            try:
                json.dumps({key: value}, ensure_ascii=False, allow_nan=False).encode()
            except (TypeError, ValueError, RecursionError):
                return prefix + safe_name(str(key))
    return ""


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(timezone.utc)
