"""What can be wrong with one event, as a stable code, a JSON Pointer and a text that repeats no value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from ingest.work import WORK
from schemas.limits import MAX_DEPTH
from schemas.problem import told_name
from schemas.two_forms import first_fault

_TYPES: Final = {
    "extra_forbidden": ("unknown_property", "This key is not part of the event; remove it."),
    "missing": ("missing_property", "This key is required."),
    "union_tag_invalid": ("unknown_event_type", "Unknown event_type; the API documentation lists every type."),
    "union_tag_not_found": ("missing_property", "event_type is required."),
    "timezone_aware": ("timestamp_without_offset", "A timestamp needs an offset, such as Z or +02:00."),
    "finite_number": ("invalid_number", "A number must be finite."),
    "string_pattern_mismatch": ("invalid_text", "Control characters and invisible ones are not allowed."),
    "string_unicode": ("invalid_text", "The text is not valid Unicode."),
    "placeholder_id": ("placeholder_id", "This id stands for nobody; send the real one."),
}
"""Codes and texts of pydantic's error types that have their own; the others follow from the type's ending."""


_LARGEST_NUMBER: Final = 10**25
"""Beyond it an integer is nobody's count."""


@dataclass(frozen=True)
class Rejection:
    """Why one event is not accepted."""

    code: str
    pointer: str
    detail: str


def from_validation(error: ValidationError) -> Rejection:
    """Return the first fault pydantic found; pointers leave out the tag of the union."""
    fault = first_fault(error)
    location = fault.location[1:]
    if fault.kind.startswith("union_tag"):
        location = ("event_type",)
    code, detail = _TYPES.get(fault.kind) or (_code(fault.kind), fault.message)
    return Rejection(code, pointer(location), detail)


def _code(kind: str) -> str:
    if kind.endswith("_type"):
        return "invalid_type"
    if kind.startswith("datetime"):
        return "invalid_timestamp"
    return "invalid_value"


def pointer(location: Sequence[int | str]) -> str:
    """Return the JSON Pointer (RFC 6901) of a place; a name that could be personal is not told."""
    return "".join(f"/{told_name(str(part))}" for part in location)


def find_unstorable(value: Any, location: tuple[int | str, ...] = ()) -> Rejection | None:
    """Return the first value in parsed JSON that no event can hold: too deep, no text or no number."""
    if isinstance(value, dict | list):
        return _find_in_container(value, location)
    if isinstance(value, str):
        return None if _is_text(value) else _no_text(location)
    if isinstance(value, Rejection):
        # stands for what could not be read
        return replace(value, pointer=pointer(location))
    if isinstance(value, int | float) and not (-_LARGEST_NUMBER < value < _LARGEST_NUMBER or _is_finite(value)):
        return Rejection("invalid_number", pointer(location), "Numbers are finite and not absurdly long.")
    return None


def _find_in_container(value: Any, location: tuple[int | str, ...]) -> Rejection | None:
    if len(location) >= MAX_DEPTH:
        return Rejection("nesting_too_deep", pointer(location), f"An event may nest {MAX_DEPTH} levels.")
    WORK.units += len(value) // 3
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if key.__class__ is str and not _is_text(key):
            return _no_text((*location, key))
        if item.__class__ is int and -_LARGEST_NUMBER < item < _LARGEST_NUMBER:
            continue
        found = find_unstorable(item, (*location, key))
        if found is not None:
            return found
    return None


def _no_text(location: tuple[int | str, ...]) -> Rejection:
    return Rejection("invalid_text", pointer(location), "NUL and lone surrogates are not text.")


def _is_finite(number: object) -> bool:
    return isinstance(number, float) and math.isfinite(number)


def _is_text(value: str) -> bool:
    if "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
