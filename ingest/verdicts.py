"""Judges one event: it is valid, or these are its faults. No fault ever repeats a value that was sent."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from ingest.scan import Element
from schemas.event_types import EventType
from schemas.events import EVENT, AnyEvent
from schemas.limits import MAX_DEPTH, MAX_EVENT_BYTES


class EventCode(StrEnum):
    """What can be wrong with an event; docs/api.md says the fix for each."""

    NOT_AN_OBJECT = "not_an_object"
    EVENT_TOO_LARGE = "event_too_large"
    NESTING_TOO_DEEP = "nesting_too_deep"
    INVALID_TEXT = "invalid_text"
    INVALID_NUMBER = "invalid_number"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    UNKNOWN_PROPERTY = "unknown_property"
    MISSING_PROPERTY = "missing_property"
    INVALID_TYPE = "invalid_type"
    INVALID_VALUE = "invalid_value"
    TIMESTAMP_WITHOUT_OFFSET = "timestamp_without_offset"
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    TIMESTAMP_IN_FUTURE = "timestamp_in_future"
    EVENT_ID_TIME_OUT_OF_RANGE = "event_id_time_out_of_range"


class Fault(NamedTuple):
    """One thing wrong with an event."""

    code: EventCode
    pointer: str
    """JSON Pointer (RFC 6901) into the event."""
    detail: str


MOST_FAULTS: Final = 20
"""Faults told of one event."""

MOST_BRACKETS: Final = 16 * 2_500
"""Objects and arrays a parser may be asked to hold; each takes hundreds of bytes. A valid event has two."""

_LONGEST_NAME: Final = 64
_ODD_NAME: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_SURROGATE_OR_NUL: Final = re.compile("[\x00\ud800-\udfff]")

_MOMENT: Final = "Must be a date and time with an offset (RFC 3339), such as 2026-03-01T09:30:00+01:00."

# What pydantic calls it -> our code, and what to do. Its own messages would quote what was sent.
_MEANINGS: Final[Mapping[str, tuple[EventCode, str]]] = {
    "missing": (EventCode.MISSING_PROPERTY, "Is required."),
    "extra_forbidden": (EventCode.UNKNOWN_PROPERTY, "Is not known for this type of event."),
    "timezone_aware": (EventCode.TIMESTAMP_WITHOUT_OFFSET, _MOMENT),
    "finite_number": (EventCode.INVALID_NUMBER, "Must be a finite number."),
    "greater_than_equal": (EventCode.INVALID_VALUE, "Must be {ge} or more."),
    "less_than_equal": (EventCode.INVALID_VALUE, "Must be {le} or less."),
    "string_too_short": (EventCode.INVALID_VALUE, "Must have {min_length} characters or more."),
    "string_too_long": (EventCode.INVALID_VALUE, "Must have {max_length} characters or fewer."),
    "string_pattern_mismatch": (EventCode.INVALID_TEXT, "Must not contain control characters."),
    "literal_error": (EventCode.INVALID_VALUE, "Must be {expected}."),
    "uuid_parsing": (EventCode.INVALID_VALUE, "Must be a UUID."),
    "datetime_parsing": (EventCode.INVALID_VALUE, _MOMENT),
    "datetime_from_date_parsing": (EventCode.INVALID_VALUE, _MOMENT),
    "datetime_type": (EventCode.INVALID_TYPE, _MOMENT),
    "uuid_type": (EventCode.INVALID_TYPE, "Must be a string that holds a UUID."),
    "string_type": (EventCode.INVALID_TYPE, "Must be a string."),
    "int_type": (EventCode.INVALID_TYPE, "Must be a whole number."),
    "int_from_float": (EventCode.INVALID_TYPE, "Must be a whole number."),
    "float_type": (EventCode.INVALID_TYPE, "Must be a number."),
    "model_type": (EventCode.INVALID_TYPE, "Must be an object."),
}


def judge(element: Element) -> AnyEvent | list[Fault]:
    """Return the event, or everything that is wrong with it, most fundamental first; at most MOST_FAULTS."""
    sent = element.text.encode("utf-8", "surrogateescape")
    error = None
    if sent.count(b"{") + sent.count(b"[") <= MOST_BRACKETS:
        try:
            return EVENT.validate_json(sent)
        except ValidationError as invalid:
            error = invalid
    return _form_faults(element, len(sent)) or _content_faults(element.value, error)


def _form_faults(element: Element, size: int) -> list[Fault]:
    """Find what keeps an event from being looked at property by property."""
    if not element.readable:
        return [_too_deep("")]
    if not isinstance(element.value, dict):
        return [Fault(EventCode.NOT_AN_OBJECT, "", "An event is a JSON object.")]
    if size > MAX_EVENT_BYTES:
        return [Fault(EventCode.EVENT_TOO_LARGE, "", f"An event may have {MAX_EVENT_BYTES} bytes as JSON.")]
    return list(_first(_walk_faults(element.value)))


def _content_faults(event: object, error: ValidationError | None) -> list[Fault]:
    if error is None or not isinstance(event, dict):
        return [Fault(EventCode.INVALID_VALUE, "", "Is no event.")]
    told = error.errors(include_url=False, include_input=False)[:MOST_FAULTS]
    return [_fault(event, each["type"], each["loc"], each.get("ctx", {})) for each in told]


def _fault(event: dict[str, Any], kind: str, location: tuple[int | str, ...], context: dict[str, Any]) -> Fault:
    if kind == "union_tag_not_found":
        return Fault(EventCode.MISSING_PROPERTY, "/event_type", "Is required.")
    if kind == "union_tag_invalid":
        if not isinstance(event.get("event_type"), str):
            return Fault(EventCode.INVALID_TYPE, "/event_type", "Must be a string.")
        return Fault(EventCode.UNKNOWN_EVENT_TYPE, "/event_type", f"Must be one of {', '.join(EventType)}.")
    code, detail = _MEANINGS.get(kind, (EventCode.INVALID_VALUE, "Is not valid here."))
    # The first step of a location is the event's type, by which its model was chosen.
    return Fault(code, pointer(location[1:]), detail.format_map(context))


class _Place(NamedTuple):
    """Where a walk stands; linked backwards, so that a pointer is only written when it is needed."""

    value: object
    above: _Place | None
    name: str | int
    depth: int

    def pointer(self) -> str:
        names: list[str | int] = []
        place = self
        while place.above is not None:
            names.append(place.name)
            place = place.above
        return pointer(tuple(reversed(names)))


def _walk_faults(event: dict[str, Any]) -> Iterator[Fault]:
    """Yield what no event may hold anywhere: deep nesting, broken text, numbers that are none."""
    places = [_Place(event, None, "", 0)]
    while places:
        place = places.pop()
        value = place.value
        if isinstance(value, str):
            if _SURROGATE_OR_NUL.search(value):
                yield Fault(EventCode.INVALID_TEXT, place.pointer(), "Must not contain NUL or broken characters.")
        elif isinstance(value, float):
            if not math.isfinite(value):
                yield Fault(EventCode.INVALID_NUMBER, place.pointer(), "Must be a finite number of sensible length.")
        elif isinstance(value, dict | list):
            if place.depth == MAX_DEPTH:
                yield _too_deep(place.pointer())
                return
            if isinstance(value, dict) and any(map(_SURROGATE_OR_NUL.search, value)):
                yield Fault(EventCode.INVALID_TEXT, place.pointer(), "A name holds NUL or broken characters.")
            places.extend(reversed(_inside(place)))


def _inside(place: _Place) -> list[_Place]:
    inside = place.value.items() if isinstance(place.value, dict) else enumerate(place.value)  # type: ignore
    return [_Place(value, place, name, place.depth + 1) for name, value in inside]


def _first(faults: Iterator[Fault]) -> Iterator[Fault]:
    for count, fault in enumerate(faults):
        if count == MOST_FAULTS:
            return
        yield fault


def _too_deep(where: str) -> Fault:
    return Fault(EventCode.NESTING_TOO_DEEP, where, f"An event may have {MAX_DEPTH} levels of objects and arrays.")


def pointer(names: tuple[int | str, ...]) -> str:
    """Return the JSON Pointer (RFC 6901) of a place, or of the nearest one above whose names are fit to be repeated."""
    steps = []
    for name in names:
        step = str(name)
        if len(step) > _LONGEST_NAME or _ODD_NAME.search(step):
            break
        steps.append("/" + step.replace("~", "~0").replace("/", "~1"))
    return "".join(steps)
