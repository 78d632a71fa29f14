"""Turns a body into events and rejections.

Fast: the whole body in one go. When anything in it is wrong, again event by event, so that one bad event costs its
neighbours nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, FailFast, TypeAdapter, ValidationError

from ingest.defects import confined
from ingest.faults import Rejection, find_unstorable, from_validation
from runtime.refusal import Refusal
from schemas.events import EVENT, AnyEvent
from schemas.limits import MAX_BATCH_EVENTS, MAX_EVENT_BYTES

_LONGEST_NUMBER: Final = 25
"""Digits beyond which an integer is nobody's count."""

_EVENTS_KEY: Final = b'"events"'
_DEEPEST: Final = 50
_STRUCTURE: Final = re.compile(r'[\[\]{}]|"(?:[^"\\]++|\\.)*+"', re.DOTALL)


class EventBatch(BaseModel):
    """A batch with its events under a name; a bare array of events is the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: Annotated[list[AnyEvent], FailFast()]


_BATCH: Final = TypeAdapter(EventBatch)
_ARRAY: Final = TypeAdapter(Annotated[list[AnyEvent], FailFast()])


def parse_event(body: bytes) -> AnyEvent | Rejection:
    """Return the event in a body, or what is wrong with it. Raises Refusal when the body is no JSON or too large."""
    if len(body) > MAX_EVENT_BYTES:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "event_too_large", f"An event may have {MAX_EVENT_BYTES} bytes."
        )
    try:
        return EVENT.validate_json(body)
    except ValidationError:
        return judge(load(body))


def parse_batch(body: bytes) -> list[AnyEvent | Rejection]:
    """Return each event of a batch, or what is wrong with it. Raises Refusal when there is no batch to judge."""
    events = _parse_at_once(body)
    if events is None:
        events = [confined(judge, raw) for raw in _events_of(load(body))]
    check_count(events)
    return events


def check_count(events: Sequence[Any]) -> None:
    """Raise Refusal for a batch of none, or of more than one may have."""
    if not events:
        raise Refusal(HTTPStatus.BAD_REQUEST, "empty_batch", "The batch has no events.")
    if len(events) > MAX_BATCH_EVENTS:
        raise _too_many()


def _parse_at_once(body: bytes) -> list[AnyEvent | Rejection] | None:
    if body.count(_EVENTS_KEY) > 1:
        # Of a key that is given twice a parser keeps the last: the events of the first would be lost.
        return None
    try:
        if body.lstrip()[:1] == b"[":
            return list(_ARRAY.validate_json(body))
        return list(_BATCH.validate_json(body).events)
    # what is wrong, a fault of ours too, is told of its own event when each is parsed alone
    except Exception:  # noqa: BLE001 - comes again there
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


def judge(raw: Any) -> AnyEvent | Rejection:
    """Return parsed JSON as an event, or what is wrong with it: as strictly as the text of it would be."""
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


def load(body: bytes, key: str = "events") -> Any:
    """Parse JSON leniently, so that what is wrong inside one event can be told of that event. Raises Refusal.

    `key`: what a batch has its events under, which may not be there twice.
    """
    # Bytes that are not UTF-8 become lone surrogates, which no event may hold.
    text = body.decode("utf-8", "surrogateescape")
    try:
        try:
            return _loads(text, key)
        except RecursionError:
            return _loads(without_depths(text), key)
    except json.JSONDecodeError as error:
        raise _unreadable(f"The body is not JSON: {error.msg}, at character {error.pos}.") from None


def _loads(text: str, key: str) -> Any:
    return json.loads(text, parse_int=_integer, object_pairs_hook=partial(_object, key))


def _object(key: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs) and key in members:
        raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_envelope", "A batch has its events under one key, once.")
    return members


def without_depths(text: str) -> str:
    """Return JSON without what is nested deeper than any event may be and any parser must be; a scan, no recursion."""
    kept = []
    depth = start = 0
    for token in _STRUCTURE.finditer(text):
        opens, closes = token[0] in "[{", token[0] in "]}"
        depth += opens - closes
        if opens and depth == _DEEPEST + 1:
            kept.append(text[start : token.start()] + "null")
        elif closes and depth == _DEEPEST:
            start = token.end()
    return "".join(kept) + (text[start:] if depth <= _DEEPEST else "")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf


def _unreadable(detail: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "unreadable_body", detail)


def _too_many() -> Refusal:
    detail = f"A batch may have {MAX_BATCH_EVENTS} events; send smaller ones."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_events", detail)
