"""How a call becomes an event: a dict as ingest documents it, then the bytes that are sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from .errors import InvalidEvent
from .event_ids import uuid7
from .no_fork import NO_FORK
from .schemas.events import EVENT
from .schemas.identifiers import unix_milliseconds
from .schemas.problem import told_name
from .schemas.two_forms import first_fault

Id = str | int | UUID
"""Ids are opaque: whatever a platform has for them is written as text."""


def new_event(
    event_type: str,
    user_id: Id | None,
    properties: Mapping[str, Any],
    session_id: Id | None,
    timestamp: datetime | str | None,
    event_id: Id | None,
    *,
    now: datetime,
    chance: int,
) -> dict[str, Any]:
    """Return the event of a call, with an id and a time that stay the same however often it is sent.

    What is None is left out. The learner's day is the date in the timestamp's own offset: that of `now` unless given.
    """
    moment = timestamp if timestamp is not None else now
    event = {
        "event_type": str(event_type),
        "event_id": str(event_id) if event_id is not None else str(uuid7(unix_milliseconds(now), chance)),
        "timestamp": moment.isoformat() if isinstance(moment, datetime) else moment,
        "user_id": None if user_id is None else str(user_id),
        "session_id": None if session_id is None else str(session_id),
    }
    facts = {
        name: str(value) if name.endswith("_id") else value for name, value in properties.items() if value is not None
    }
    return {name: value for name, value in event.items() if value is not None} | {"properties": facts}


def encoded(event: Mapping[str, Any], max_bytes: int) -> bytes:
    """Return an event as it is sent, judged as ingest will judge it. Raises InvalidEvent."""
    name = told_name(str(event.get("event_type")))
    try:
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        # Not chained: such an error quotes what it could not write
        raise InvalidEvent(name, "", "not_json") from None
    if len(body) > max_bytes:
        raise InvalidEvent(name, "", "event_too_large")
    try:
        with NO_FORK:
            EVENT.validate_json(body)
    except ValidationError as error:
        fault = first_fault(error)
        # The first part of the place is the type of the event, by which the model was chosen
        pointer = "".join(f"/{told_name(str(part))}" for part in fault.location[1:])
        raise InvalidEvent(name, pointer, fault.kind) from None
    return body


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(timezone.utc)
