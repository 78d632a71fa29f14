"""Reads a JSON document element by element, so that one invalid element does not affect the others.

The parser gets at most the maximum size of an event at a time. An element that is larger or nested deeper is skipped by
counting brackets, and a Rejection takes its place. The readers are generators that yield where other requests may run.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from http import HTTPStatus
from itertools import accumulate
from typing import Any, Final

from ingest.effort import Steps
from ingest.rejection import Rejection
from ingest.work import WORK
from schemas.limits import MAX_BATCH_EVENTS, MAX_DEPTH, MAX_EVENT_BYTES
from web.problems import Refusal

TOO_LARGE: Final = Rejection("event_too_large", "", f"An event may have {MAX_EVENT_BYTES} bytes.")
TOO_DEEP: Final = Rejection("nesting_too_deep", "", f"An event may nest {MAX_DEPTH} levels.")

_PIECES: Final = (4_096, MAX_EVENT_BYTES)
"""Sizes of the text passed to the parser, in characters: enough for most events, and the largest event."""
_MAX_NAMES: Final = 1_000
"""Maximum number of names in the top-level object."""

_CHUNK: Final = 32_768
"""Number of characters skipped between two yields."""

_DECODE: Final[Callable[..., tuple[Any, int]]] = json.JSONDecoder().raw_decode
_LONGEST_NUMBER: Final = 25
"""Maximum digits of an integer. A longer one is read as infinity."""
_SPACE: Final = re.compile(r"[ \t\n\r]*+")
_SCALAR: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[-+.0-9A-Za-z]++', re.DOTALL)
_DEPTH: Final = bytes(1 if one in b"[{" else 255 if one in b"]}" else 0 for one in range(256))
"""Change of nesting depth at each byte, as a signed byte."""


def read_document(text: str, key: str) -> Steps[Any]:
    """Return a document whose elements are its top-level array, or the array under `key` of its top-level object.

    Reads at most MAX_BATCH_EVENTS + 1 elements. Raises JSONDecodeError, and Refusal if the key occurs twice.
    """
    document: Any
    start = _after_space(text, 0)
    if text[start : start + 1] == "[":
        document, end = yield from _array(text, start)
    elif text[start : start + 1] == "{":
        document, end = yield from _object(text, start, key)
    else:
        document, end = yield from _value(text, start)
    if isinstance(document, list) and len(document) > MAX_BATCH_EVENTS:
        return document
    if (end := _after_space(text, end)) < len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return document


def _array(text: str, start: int) -> Steps[tuple[list[Any], int]]:
    elements: list[Any] = []
    at = _after_space(text, start + 1)
    if text[at : at + 1] == "]":
        return elements, at + 1
    while True:
        element, at = yield from _value(text, at)
        elements.append(element)
        if len(elements) > MAX_BATCH_EVENTS:
            return elements, at
        at = _after_space(text, at)
        if text[at : at + 1] == "]":
            return elements, at + 1
        at = _after_space(text, _after(text, at, ","))


def _object(text: str, start: int, key: str) -> Steps[tuple[dict[str, Any], int]]:
    members: dict[str, Any] = {}
    at = _after_space(text, start + 1)
    if text[at : at + 1] == "}":
        return members, at + 1
    for _ in range(_MAX_NAMES):
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        name, at = yield from _value(text, at)
        if name == key and name in members:
            detail = "A batch may have its array of events only once."
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_envelope", detail)
        at = _after_space(text, _after(text, _after_space(text, at), ":"))
        read = _array if name == key and text[at : at + 1] == "[" else _value
        members[name], at = yield from read(text, at)
        if name == key and isinstance(members[name], list) and len(members[name]) > MAX_BATCH_EVENTS:
            return members, len(text)
        WORK.units += 1
        at = _after_space(text, at)
        if text[at : at + 1] == "}":
            return members, at + 1
        at = _after_space(text, _after(text, at, ","))
    detail = f"The body has more than {_MAX_NAMES} top-level names."
    raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_envelope", detail)


def _value(text: str, at: int) -> Steps[tuple[Any, int]]:
    """Return the value that begins at a position, or a Rejection in its place, and the position after it."""
    for size in _PIECES:
        piece = text[at : at + size]
        try:
            value, end = _decoded(piece)
        except RecursionError:
            return TOO_DEEP, (yield from _end(text, at))
        except json.JSONDecodeError:
            WORK.units += len(piece) // 64 + 2
            continue
        WORK.units += end // 64 + 2
        if end < len(piece) or at + end == len(text):
            yield
            return value, at + end
    end = yield from _end(text, at)
    if end - at <= _PIECES[-1]:
        # small enough for the parser, which describes the fault
        try:
            _decoded(text[at:end])
        except json.JSONDecodeError as error:
            raise json.JSONDecodeError(error.msg, text, at + error.pos) from None
    if end == len(text):
        raise json.JSONDecodeError("Unterminated value starting at", text, at)
    return TOO_LARGE, end


def _decoded(piece: str) -> tuple[Any, int]:
    try:
        return _DECODE(piece)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # an integer with more digits than Python converts
        return _DECODE_LONG_NUMBERS(piece)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf


_DECODE_LONG_NUMBERS: Final[Callable[..., tuple[Any, int]]] = json.JSONDecoder(parse_int=_integer).raw_decode


def _end(text: str, start: int) -> Steps[int]:
    """Return the position after the element that begins at a position, or the end of the text for an open element."""
    if text[start : start + 1] not in ("[", "{"):
        scalar = _SCALAR.match(text, start)
        return start if scalar is None else scalar.end()
    depth, is_in_string, size = 0, False, 1_024
    while start < len(text):
        stop = start + size
        while text[stop - 1 : stop] == "\\":
            # do not cut an escape sequence in two
            stop += 1
        parts = text[start:stop].replace("\\\\", "__").replace('\\"', "__").split('"')
        for string in range(0 if is_in_string else 1, len(parts), 2):
            parts[string] = "_" * len(parts[string])
        is_in_string ^= len(parts) % 2 == 0
        changes = '"'.join(parts).encode("ascii", "replace").translate(_DEPTH)
        depths = list(accumulate(memoryview(changes).cast("b"), initial=depth))[1:]
        if 0 in depths:
            return start + depths.index(0) + 1
        WORK.units += len(depths) // 16
        yield
        start, depth, size = stop, depths[-1], min(2 * size, _CHUNK)
    return len(text)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _after(text: str, at: int, mark: str) -> int:
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"Expecting '{mark}' delimiter", text, at)
    return at + 1
