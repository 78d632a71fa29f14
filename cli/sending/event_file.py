"""Reads events, one JSON object a line, and cuts them into batches that ingest takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.sending.event_lines import LONGEST_LINE, EventFileDamaged, EventInput, open_input
from cli.sending.line_ids import LineIds
from schemas.limits import MAX_BODY_BYTES

_OPENING: Final = b'{"events":['
_CLOSING: Final = b"]}"
_SHOWN_CHARACTERS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line that can be sent."""

    number: int
    event: bytes
    """The event as JSON; it has an event_id."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that no request can carry, and why."""

    number: int
    code: str
    detail: str
    text: str
    """How the line begins."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive lines of a file, sent together."""

    number: int
    lines: tuple[Line, ...]
    bad_lines: tuple[BadLine, ...]
    last_line: int
    """Number of the last line of the file that this batch covers, from 1."""
    last_digest: str
    """What `digest` says of that line."""
    position: int
    """Bytes of the file read so far."""
    neighbour: bytes | None = None
    """The event on the last line before the batch that can be sent."""

    @property
    def read(self) -> int:
        """Return how many lines that are not blank it holds."""
        return len(self.lines) + len(self.bad_lines)


def read_batches(
    file: Path,
    ids: LineIds,
    *,
    size: int,
    after_line: int = 0,
    on_garbage: Callable[[], None] = lambda: None,
) -> Iterator[Batch]:
    """Give the lines beyond `after_line`, at most `size` a batch, each batch within the limit of a request body.

    `on_garbage` is told that bytes behind the compressed lines were left out. Blocks on the disk. Raises OSError, and
    EventFileDamaged once all that could be read is given.
    """
    with open_input(file) as source:
        cutter = _Cutter(size)
        try:
            for number, text in source.lines():
                line = parse_line(number, text, ids)
                if number > after_line:
                    yield from cutter.add(line, text, source.position)
                else:
                    cutter.pass_over(line)
        except EventFileDamaged:
            yield from cutter.rest(source.position)
            raise
        yield from cutter.rest(source.position)
        if source.has_garbage:
            on_garbage()


def line_digest(file: Path, line: int) -> str | None:
    """Return what `Batch.last_digest` says of a line, None when the file has no such line. Blocks on the disk."""
    with open_input(file) as source:
        try:
            return _digest_of(source, line)
        except EventFileDamaged:
            return None


def _digest_of(source: EventInput, line: int) -> str | None:
    return next((digest(text) for number, text in source.lines() if number == line), None)


def body_of(events: list[bytes]) -> bytes:
    """Return the body of a request that carries the events."""
    return _OPENING + b",".join(events) + _CLOSING


def digest(line: bytes) -> str:
    """Return a fingerprint of a line's content."""
    return hashlib.sha256(line).hexdigest()


def parse_line(number: int, line: bytes, ids: LineIds) -> Line | BadLine:
    """Return what is sent of a line, word for word but for an event_id by `ids` where it has none."""
    if len(line) > LONGEST_LINE:
        return _bad(number, line, "event_too_large", f"A line may have {LONGEST_LINE} bytes.")
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError:
        return _bad(number, line, "invalid_json", "The line is not UTF-8.")
    except RecursionError:
        return _bad(number, line, "too_deep", "The line is nested too deeply.")
    except ValueError as error:
        return _bad(number, line, "invalid_json", f"The line is not JSON: {error}.")
    if not isinstance(value, dict):
        return _bad(number, line, "not_an_object", "An event is a JSON object.")
    if value.get("event_id") is not None:
        return Line(number, line)
    own_id = ids(number, line)
    if "event_id" in value:
        return Line(number, json.dumps({**value, "event_id": own_id}, separators=(",", ":")).encode())
    return Line(number, b'{"event_id":"%b"%b%b' % (own_id.encode(), b"," if value else b"", line[1:].lstrip()))


def _bad(number: int, line: bytes, code: str, detail: str) -> BadLine:
    return BadLine(number, code, detail, line[:_SHOWN_CHARACTERS].decode(errors="backslashreplace"))


class _Cutter:
    """Gathers lines until they fill a request."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._number = 0
        self._last_line = 0
        self._last_digest = ""
        self._neighbour: bytes | None = None
        self._start_anew()

    def pass_over(self, line: Line | BadLine) -> None:
        """Take note of a line that is not sent again."""
        if isinstance(line, Line):
            self._neighbour = line.event

    def add(self, line: Line | BadLine, text: bytes, position: int) -> Iterator[Batch]:
        """Take one more line; give the batch before it when both would be too much."""
        added = len(line.event) + 1 if isinstance(line, Line) else 0
        if self._count == self._size or self._bytes + added > MAX_BODY_BYTES:
            yield from self.rest(position)
        match line:
            case Line():
                self._lines.append(line)
                self._bytes += added
            case BadLine():
                self._bad_lines.append(line)
        self._last_line, self._last_digest = line.number, digest(text)

    def rest(self, position: int) -> Iterator[Batch]:
        """Give what is gathered, if anything."""
        if self._count:
            lines, bad_lines = tuple(self._lines), tuple(self._bad_lines)
            yield Batch(self._number, lines, bad_lines, self._last_line, self._last_digest, position, self._neighbour)
            self._number += 1
            if lines:
                self._neighbour = lines[-1].event
            self._start_anew()

    @property
    def _count(self) -> int:
        return len(self._lines) + len(self._bad_lines)

    def _start_anew(self) -> None:
        self._lines: list[Line] = []
        self._bad_lines: list[BadLine] = []
        self._bytes = len(_OPENING) + len(_CLOSING)
