"""Turns a body into events and rejections.

Fast: the whole body in one go. When anything in it is wrong, again event by event, so that one bad event costs its
neighbours nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, FailFast, TypeAdapter, ValidationError

from ingest.defects import confined
from ingest.effort import LARGE_BYTES, TOO_COSTLY, Effort, Steps, at_once
from ingest.elements import TOO_LARGE, read_document
from ingest.faults import Rejection, find_unstorable, from_validation, pointer
from ingest.work import WORK, is_odd
from runtime.refusal import Refusal
from schemas.catalogue import CATALOGUE
from schemas.events import EVENT, MODELS, AnyEvent
from schemas.limits import MAX_BATCH_EVENTS, MAX_EVENT_BYTES

_EVENTS_KEY: Final = b'"events"'

_MOST_BRACKETS: Final = MAX_BATCH_EVENTS
_MOST_BRACES: Final = 3 * MAX_BATCH_EVENTS
_MOST_COLONS: Final = 24 * MAX_BATCH_EVENTS
_MOST_BYTES_A_QUOTE: Final = 12
_MOST_BYTES_BEYOND_ASCII: Final = 64 * 1024
_MOST_ESCAPES: Final = 8 * 1024
_MOST_ENCODED: Final = 256
"""What no batch of good events has more of but in its texts."""

_MOST_KEYS: Final = 32
_KNOWN_KEYS: Final = frozenset(
    name
    for model in (*MODELS.values(), *(kind.properties for kind in CATALOGUE.values()))
    for name in model.model_fields
)
_UNITS_OF_AN_EVENT: Final = 15


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
        return judge(at_once(load_steps(body)))


def batch_steps(body: bytes, effort: Effort) -> Steps[list[AnyEvent | Rejection]]:
    """Return each event of a batch, or what is wrong with it. Raises Refusal when there is no batch to judge.

    Events that are left when the effort is over are TOO_COSTLY.
    """
    events = parse_batch(body)
    if events is None:
        events = []
        for raw in _events_of((yield from load_steps(body))):
            events.append(TOO_COSTLY if effort.is_half_over else confined(judge, raw))
            yield
    check_count(events)
    return events


def check_count(events: Sequence[Any]) -> None:
    """Raise Refusal for a batch of none, or of more than one may have."""
    if not events:
        raise Refusal(HTTPStatus.BAD_REQUEST, "empty_batch", "The batch has no events.")
    if len(events) > MAX_BATCH_EVENTS:
        raise _too_many()


def parse_batch(body: bytes) -> list[AnyEvent | Rejection] | None:
    """Return the events of a batch without a fault; None for any other, whose events are judged one by one."""
    if body.count(_EVENTS_KEY) > 1 or not _is_ordinary(body):
        # Of a key that is given twice a parser keeps the last: the events of the first would be lost.
        return None
    try:
        if body.lstrip()[:1] == b"[":
            return list(_ARRAY.validate_json(body))
        return list(_BATCH.validate_json(body).events)
    # what is wrong, a fault of ours too, is told of its own event when each is parsed alone
    except Exception:  # noqa: BLE001 - comes again there
        return None


def _is_ordinary(body: bytes) -> bool:
    """Return whether the body can be a batch of good events: others may keep the parser for long, and all at once."""
    return len(body) <= LARGE_BYTES or (
        body.count(b"[") <= _MOST_BRACKETS
        and body.count(b"{") <= _MOST_BRACES
        and body.count(b":") <= _MOST_COLONS
        and body.count(b"\\u") <= _MOST_ESCAPES
        # texts as long as that take long to judge, and the parser judges ids
        and len(body) <= body.count(b'"') * _MOST_BYTES_A_QUOTE
        and body.count(b"%") <= _MOST_ENCODED
        and body.count(b"&") <= _MOST_ENCODED
        and (body.isascii() or len(body) - len(body.decode(errors="replace")) <= _MOST_BYTES_BEYOND_ASCII)
    )


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
    if isinstance(raw, Rejection):
        return raw
    if not isinstance(raw, dict):
        return Rejection("not_an_object", "", "An event is a JSON object.")
    unstorable = find_unstorable(raw) or _crowded(raw)
    if unstorable is not None:
        return unstorable
    text = json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode()
    WORK.units += _UNITS_OF_AN_EVENT + len(text) // 32 + _odd_characters(raw)
    if len(text) > MAX_EVENT_BYTES:
        return TOO_LARGE
    try:
        return EVENT.validate_json(text)
    except ValidationError as error:
        return from_validation(error)


def _odd_characters(raw: dict[str, Any]) -> int:
    properties = raw.get("properties")
    members = (*raw.values(), *(properties.values() if isinstance(properties, dict) else ()))
    return sum(len(text) for text in members if isinstance(text, str) and is_odd(text))


def _crowded(raw: dict[str, Any]) -> Rejection | None:
    """Return the first unknown key of an event that has too many: each costs the parser a fault of its own."""
    for place, members in (("", raw), ("/properties", raw.get("properties"))):
        if isinstance(members, dict) and len(members) > _MOST_KEYS:
            unknown = next(name for name in members if name not in _KNOWN_KEYS)
            return Rejection(
                "unknown_property", place + pointer((unknown,)), "This key is not part of the event; remove it."
            )
    return None


def load_steps(body: bytes, key: str = "events") -> Steps[Any]:
    """Parse JSON leniently, so that what is wrong inside one event can be told of that event. Raises Refusal.

    `key`: what a batch has its events under, which may not be there twice.
    """
    # Bytes that are not UTF-8 become lone surrogates, which no event may hold.
    text = body.decode("utf-8", "surrogateescape")
    try:
        return (yield from read_document(text, key))
    except json.JSONDecodeError as error:
        raise _unreadable(f"The body is not JSON: {error.msg}, at character {error.pos}.") from None


def _unreadable(detail: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "unreadable_body", detail)


def _too_many() -> Refusal:
    detail = f"A batch may have {MAX_BATCH_EVENTS} events; send smaller ones."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_events", detail)
