"""Turns a body into events and rejections.

A batch is parsed in parts of some hundred events. If any part is invalid, the batch is parsed again event by event, so
that one invalid event does not affect the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, FailFast, TypeAdapter, ValidationError

from ingest.effort import LARGE_BYTES, Effort, Steps, run_at_once
from ingest.parsing.faults import find_unstorable, from_validation, pointer
from ingest.parsing.json_elements import TOO_LARGE, read_document
from ingest.rejection import TOO_COSTLY, Rejection, isolate_defect
from ingest.work import WORK, is_odd
from schemas.catalogue import CATALOGUE
from schemas.events import EVENT, MODELS, AnyEvent
from schemas.limits import MAX_BATCH_EVENTS, MAX_EVENT_BYTES
from web.problems import Refusal

_PART_BYTES: Final = 32 * 1024
"""Minimum size of a part in bytes; a part ends after an event. Other requests may run between parts."""
_ENVELOPE: Final = re.compile(rb'[ \t\n\r]*+(\{[ \t\n\r]*+"events"[ \t\n\r]*+:[ \t\n\r]*+)?\[')
_BETWEEN_EVENTS: Final = re.compile(rb"\}[ \t\n\r]*+,(?=[ \t\n\r]*+\{)")
_SPACE: Final = b" \t\n\r"

_MAX_BYTES_BEYOND_ASCII: Final = 64 * 1024
_MAX_ESCAPES: Final = 8 * 1024
_MAX_ENCODED: Final = 256
"""Limits of a batch that is parsed in parts. Ids with such characters take long to validate."""

_MAX_KEYS: Final = 32
_KNOWN_KEYS: Final = frozenset(
    name
    for model in (*MODELS.values(), *(kind.properties for kind in CATALOGUE.values()))
    for name in model.model_fields
)
_UNITS_OF_AN_EVENT: Final = 15
_UNITS_OF_A_GOOD_EVENT: Final = 4


class EventBatch(BaseModel):
    """A batch as an object with `events`. A bare array of events is equivalent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: list[AnyEvent]


_parse_valid_event: Final[Callable[[bytes], AnyEvent]] = EVENT.validator.validate_json
"""The validator's own method: the adapter's wrapper takes a microsecond."""

_ARRAY: Final = TypeAdapter(Annotated[list[AnyEvent], FailFast()])


def parse_event(body: bytes) -> AnyEvent | Rejection:
    """Return the event in a body, or why it is rejected. Raises Refusal if the body is not JSON or is too large."""
    if len(body) > MAX_EVENT_BYTES:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "event_too_large", f"An event may have {MAX_EVENT_BYTES} bytes."
        )
    try:
        return _parse_valid_event(body)
    except ValidationError:
        return validate_event(run_at_once(parse_json(body)))


def parse_batch(body: bytes, effort: Effort) -> Steps[list[AnyEvent | Rejection]]:
    """Return each event of a batch, or the reason for its rejection. Raises Refusal if the body is not a batch.

    The events left when half of the budget is used up become TOO_COSTLY.
    """
    events = yield from _parse_valid_batch(body)
    if events is None:
        events = []
        for raw in _events_of((yield from parse_json(body))):
            events.append(TOO_COSTLY if effort.is_half_over else isolate_defect(validate_event, raw))
            yield
    check_count(events)
    return events


def check_count(events: Sequence[Any]) -> None:
    """Raise Refusal if a batch is empty or has more than MAX_BATCH_EVENTS events."""
    if not events:
        raise Refusal(HTTPStatus.BAD_REQUEST, "empty_batch", "The batch has no events.")
    if len(events) > MAX_BATCH_EVENTS:
        raise _too_many()


def _parse_valid_batch(body: bytes) -> Steps[list[AnyEvent | Rejection] | None]:
    """Return the events of a batch in which every event is valid; None for any other body."""
    if not _is_ordinary(body):
        return None
    events: list[AnyEvent | Rejection] = []
    for part in _split(body):
        if len(part) > _PART_BYTES + MAX_EVENT_BYTES:
            return None
        try:
            good = _ARRAY.validate_json(part)
        # parsing event by event finds the fault again, also a defect of this service, and assigns it to its event
        except Exception:  # noqa: BLE001 - raised again there
            return None
        events += good
        WORK.units += _UNITS_OF_A_GOOD_EVENT * len(good) + len(part) // 32
        yield
    return events


def _split(body: bytes) -> Iterator[bytes]:
    """Split a batch into arrays of events. If the body is not a batch, some part is not an array of events."""
    envelope = _ENVELOPE.match(body)
    if envelope is None:
        yield body
        return
    rest = body.rstrip(_SPACE)
    if envelope[1] is not None:
        if not rest.endswith(b"}"):
            yield body
            return
        rest = rest[:-1]
    start = envelope.end()
    while (cut := _BETWEEN_EVENTS.search(rest, start + _PART_BYTES)) is not None:
        # a cut inside an event leaves a string or a bracket open, so the part is not JSON
        yield b"[" + rest[start : cut.start() + 1] + b"]"
        start = cut.end()
    yield b"[" + rest[start:]


def _is_ordinary(body: bytes) -> bool:
    """Return whether the body is small, or has few characters that are escaped or not ASCII."""
    return len(body) <= LARGE_BYTES or (
        body.count(b"\\u") <= _MAX_ESCAPES
        and body.count(b"%") <= _MAX_ENCODED
        and body.count(b"&") <= _MAX_ENCODED
        and (body.isascii() or len(body) - len(body.decode(errors="replace")) <= _MAX_BYTES_BEYOND_ASCII)
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


def validate_event(raw: Any) -> AnyEvent | Rejection:
    """Return parsed JSON as an event, or the reason for its rejection. As strict as `parse_event`."""
    if isinstance(raw, Rejection):
        return raw
    if not isinstance(raw, dict):
        return Rejection("not_an_object", "", "An event is a JSON object.")
    unstorable = find_unstorable(raw) or _crowded(raw)
    if unstorable is not None:
        return unstorable
    text = json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode()
    WORK.units += _UNITS_OF_AN_EVENT + len(text) // 32 + _odd_characters(raw) // 2
    if len(text) > MAX_EVENT_BYTES:
        return TOO_LARGE
    try:
        return EVENT.validate_json(text)
    except ValidationError as error:
        return from_validation(error)


def _odd_characters(raw: dict[str, Any]) -> int:
    ids = (raw.get("user_id"), raw.get("session_id"))
    return sum(len(text) for text in ids if isinstance(text, str) and is_odd(text))


def _crowded(raw: dict[str, Any]) -> Rejection | None:
    """Reject an event with too many keys by its first unknown key: the parser would report each of them."""
    for place, members in (("", raw), ("/properties", raw.get("properties"))):
        if isinstance(members, dict) and len(members) > _MAX_KEYS:
            unknown = next(name for name in members if name not in _KNOWN_KEYS)
            return Rejection(
                "unknown_property", place + pointer((unknown,)), "This key is not part of the event; remove it."
            )
    return None


def parse_json(body: bytes, key: str = "events") -> Steps[Any]:
    """Return the parsed JSON of a body. A fault inside one element becomes the Rejection of that element.

    `key` is the name of the array of events in an object; it may occur once. Raises Refusal.
    """
    # bytes that are not UTF-8 become lone surrogates, which no event may contain
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
