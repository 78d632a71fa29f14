"""Finds each event in a body that is not valid as a whole, so that every one can be judged by itself."""

from __future__ import annotations

import json
import math
import re
from http import HTTPStatus
from typing import Final, NamedTuple

from ingest.problems import Refusal, RequestCode
from schemas.limits import MAX_BATCH_EVENTS

ENVELOPE_KEY: Final = "events"

_MOST_DIGITS: Final = 30
_SPACE: Final = re.compile(r"[ \t\n\r]*")
# Never fails and never looks at a character twice, whatever the body: an open string reaches to the end.
_STRUCTURE: Final = re.compile(r'[\[\]{}]|"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


class Element(NamedTuple):
    """One event of a body: its text and what it says; None stands for `null` and for what is nested beyond reading."""

    text: str
    value: object
    readable: bool


def scan_batch(body: bytes) -> list[Element]:
    """Return the events of an array, or of `{"events": [...]}`. Raises Refusal: 400, or 413 for too many events."""
    scanner = _Scanner(body)
    return scanner.envelope() if scanner.sees("{") else scanner.array()


def scan_event(body: bytes) -> Element:
    """Return the only event of a body. Raises Refusal (400)."""
    scanner = _Scanner(body)
    element = scanner.element()
    scanner.end()
    return element


class _Scanner:
    def __init__(self, body: bytes) -> None:
        # What is not UTF-8 becomes a lone surrogate: within a string that is one event's fault, elsewhere no JSON.
        self._text = body.decode("utf-8", "surrogateescape")
        self._at = 0

    def envelope(self) -> list[Element]:
        self._need("{")
        if self._read_name() != ENVELOPE_KEY or not self.sees("["):
            raise _bad_envelope()
        events = self._elements()
        if self.sees(","):
            raise _bad_envelope()
        self._need("}")
        self.end()
        return events

    def array(self) -> list[Element]:
        if not self.sees("["):
            self.element()
            self.end()
            raise _bad_envelope()
        events = self._elements()
        self.end()
        return events

    def element(self) -> Element:
        self._skip_space()
        start = self._at
        readable = True
        try:
            value, self._at = _DECODER.raw_decode(self._text, start)
        except json.JSONDecodeError as error:
            raise self._not_json(error.pos) from None
        except RecursionError:
            value, self._at, readable = None, self._end_of(start), False
        return Element(self._text[start : self._at], value, readable)

    def sees(self, character: str) -> bool:
        self._skip_space()
        return self._text.startswith(character, self._at)

    def end(self) -> None:
        self._skip_space()
        if self._at != len(self._text):
            raise self._not_json(self._at)

    def _elements(self) -> list[Element]:
        self._need("[")
        elements: list[Element] = []
        if self._take("]"):
            return elements
        while True:
            if len(elements) == MAX_BATCH_EVENTS:
                raise too_many_events()
            elements.append(self.element())
            if not self._take(","):
                break
        self._need("]")
        return elements

    def _read_name(self) -> object:
        if self.sees("}"):
            return None
        if not self.sees('"'):
            raise self._not_json(self._at)
        name = self.element().value
        self._need(":")
        return name

    def _take(self, character: str) -> bool:
        found = self.sees(character)
        self._at += found
        return found

    def _need(self, character: str) -> None:
        if not self._take(character):
            raise self._not_json(self._at)

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _end_of(self, start: int) -> int:
        depth = 0
        for match in _STRUCTURE.finditer(self._text, start):
            if match[0] in "[{":
                depth += 1
            elif match[0] in "]}":
                depth -= 1
                if depth == 0:
                    return match.end()
        raise self._not_json(len(self._text))

    def _not_json(self, position: int) -> Refusal:
        line = self._text.count("\n", 0, position) + 1
        column = position - self._text.rfind("\n", 0, position)
        return Refusal(
            HTTPStatus.BAD_REQUEST,
            RequestCode.INVALID_JSON,
            f"The body is not JSON: see line {line}, column {column}.",
        )


def too_many_events() -> Refusal:
    """Return the refusal of a batch over the limit."""
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        RequestCode.TOO_MANY_EVENTS,
        f"A batch may have {MAX_BATCH_EVENTS} events. Send smaller batches.",
    )


def _bad_envelope() -> Refusal:
    return Refusal(
        HTTPStatus.BAD_REQUEST,
        RequestCode.INVALID_ENVELOPE,
        f'A batch is an array of events, or an object with "{ENVELOPE_KEY}" and nothing else.',
    )


def _whole_number(digits: str) -> int | float:
    # Thousands of digits would take long or raise; no property is anywhere near.
    return int(digits) if len(digits) <= _MOST_DIGITS else math.inf


_DECODER: Final = json.JSONDecoder(parse_int=_whole_number)
