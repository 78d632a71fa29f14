"""Finds the first fault of an event: a stable code, a JSON Pointer, and a message that repeats no value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError

from ingest.rejection import Rejection
from ingest.work import WORK
from schemas.limits import MAX_DEPTH
from schemas.problem import safe_name
from schemas.two_forms import first_fault

_TYPES: Final = {
    "extra_forbidden": ("unknown_property", "This key is not part of the event; remove it."),
    "missing": ("missing_property", "This key is required."),
    "union_tag_invalid": ("unknown_event_type", "Unknown event_type; the API documentation lists every type."),
    "union_tag_not_found": ("missing_property", "event_type is required."),
    "timezone_aware": ("timestamp_without_offset", "A timestamp needs an offset, such as Z or +02:00."),
    "finite_number": ("invalid_number", "A number must be finite."),
    "string_pattern_mismatch": ("invalid_text", "Control characters and invisible characters are not allowed."),
    "string_unicode": ("invalid_text", "The text is not valid Unicode."),
    "placeholder_id": ("placeholder_id", "This id is a placeholder; send the real id."),
}
"""Codes and messages by type of pydantic error. For other types the code follows from the suffix of the type."""

_LARGEST_NUMBER: Final = 10**25
"""Upper bound of integers. No count is as large."""


def from_validation(error: ValidationError) -> Rejection:
    """Return the first fault that pydantic found. The pointer omits the tag of the union."""
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
    """Return the JSON Pointer (RFC 6901) of a location. A name that may be personal is replaced."""
    return "".join(f"/{safe_name(str(part))}" for part in location)


def find_unstorable(value: Any, location: tuple[int | str, ...] = ()) -> Rejection | None:
    """Return a rejection for the first value in parsed JSON that no event can hold; None if there is none.

    Such a value is nested too deeply, text with NUL or lone surrogates, or a number that is not finite or too large.
    """
    if isinstance(value, dict | list):
        return _find_in_container(value, location)
    if isinstance(value, str):
        return None if _is_text(value) else _no_text(location)
    if isinstance(value, Rejection):
        # takes the place of an element that could not be read
        return replace(value, pointer=pointer(location))
    if isinstance(value, int | float) and not (-_LARGEST_NUMBER < value < _LARGEST_NUMBER or _is_finite(value)):
        return Rejection("invalid_number", pointer(location), "A number must be finite; an integer may have 25 digits.")
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
    return Rejection("invalid_text", pointer(location), "NUL and lone surrogates are not allowed.")


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
