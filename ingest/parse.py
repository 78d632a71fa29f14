"""Turns a body into events and rejections.

Fast: the whole body in one go. When anything in it is wrong, again event by event, so that one bad event costs its
neighbours nothing.
"""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ingest.faults import Rejection, find_unstorable, from_validation
from runtime.refusal import Refusal
from schemas.events import EVENT, EVENTS, AnyEvent
from schemas.limits import MAX_BATCH_EVENTS, MAX_EVENT_BYTES

_LONGEST_NUMBER: Final = 25
"""Digits beyond which an integer is nobody's count."""


class EventBatch(BaseModel):
    """A batch with its events under a name; a bare array of events is the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: list[AnyEvent]


_BATCH: Final = TypeAdapter(EventBatch)


def parse_event(body: bytes) -> AnyEvent | Rejection:
    """Return the event in a body, or what is wrong with it. Raises Refusal when the body is no JSON or too large."""
    if len(body) > MAX_EVENT_BYTES:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "event_too_large", f"An event may have {MAX_EVENT_BYTES} bytes."
        )
    try:
        return EVENT.validate_json(body)
    except ValidationError:
        return _judge(load(body))


def parse_batch(body: bytes) -> list[AnyEvent | Rejection]:
    """Return each event of a batch, or what is wrong with it. Raises Refusal when there is no batch to judge."""
    events = _parse_at_once(body)
    if events is None:
        events = [_judge(raw) for raw in _events_of(load(body))]
    if not events:
        raise Refusal(HTTPStatus.BAD_REQUEST, "empty_batch", "The batch has no events.")
    if len(events) > MAX_BATCH_EVENTS:
        raise _too_many()
    return events


def _parse_at_once(body: bytes) -> list[AnyEvent | Rejection] | None:
    try:
        if body.lstrip()[:1] == b"[":
            return list(EVENTS.validate_json(body))
        return list(_BATCH.validate_json(body).events)
    except ValidationError:
        return None


def _events_of(document: Any) -> list[Any]:
    events = document
    if isinstance(document, dict):
        events = document.get("events")
        if set(document) - {"events"}:
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_envelope", 'A batch has the key "events" and no other.')
    if not isinstance(events, list):
        raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_envelope", 'A batch is {"events": [...]} or an array of events.')
    if len(events) > MAX_BATCH_EVENTS:
        raise _too_many()
    return events


def _judge(raw: Any) -> AnyEvent | Rejection:
    if not isinstance(raw, dict):
        return Rejection("not_an_object", "", "An event is a JSON object.")
    unstorable = find_unstorable(raw)
    if unstorable is not None:
        return unstorable
    text = json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) > MAX_EVENT_BYTES:
        return Rejection("event_too_large", "", f"An event may have {MAX_EVENT_BYTES} bytes.")
    try:
        return EVENT.validate_json(text)
    except ValidationError as error:
        return from_validation(error)


def load(body: bytes) -> Any:
    """Parse JSON leniently, so that what is wrong inside one event can be told of that event. Raises Refusal."""
    try:
        # Not the bytes: the parser would guess at other encodings.
        return json.loads(body.decode(), parse_int=_integer)
    except UnicodeDecodeError as error:
        raise _unreadable(f"The body is not UTF-8 at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        raise _unreadable(f"The body is not JSON: {error.msg}, at character {error.pos}.") from None
    except RecursionError:
        raise _unreadable("The body is nested too deep.") from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf


def _unreadable(detail: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "unreadable_body", detail)


def _too_many() -> Refusal:
    detail = f"A batch may have {MAX_BATCH_EVENTS} events; send smaller ones."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_events", detail)
