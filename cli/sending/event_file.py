"""Reads events from a file, one JSON object per line, and groups them into batches for ingest."""

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
    """The event as JSON, with an event_id."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be sent, and the reason."""

    number: int
    code: str
    detail: str
    text: str
    """The beginning of the line."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive lines of a file that are sent in one request."""

    number: int
    lines: tuple[Line, ...]
    bad_lines: tuple[BadLine, ...]
    last_line: int
    """Number of the last line in this batch, counted from 1."""
    last_digest: str
    """`digest` of that line."""
    position: int
    """Number of bytes of the file read so far."""
    previous: bytes | None = None
    """The last sendable event before this batch."""

    @property
    def read(self) -> int:
        """Number of lines in this batch. Blank lines do not count."""
        return len(self.lines) + len(self.bad_lines)


def read_batches(
    file: Path,
    ids: LineIds,
    *,
    size: int,
    after_line: int = 0,
    on_garbage: Callable[[], None] = lambda: None,
) -> Iterator[Batch]:
    """Yield the lines after `after_line` in batches of at most `size` lines that fit in a request body.

    Calls `on_garbage` when the data after the compressed lines was ignored. Blocks on the disk. Raises OSError, and
    EventFileDamaged after all readable lines.
    """
    with open_input(file) as source:
        batcher = _Batcher(size)
        try:
            for number, text in source.lines():
                line = parse_line(number, text, ids)
                if number > after_line:
                    yield from batcher.add(line, text, source.position)
                else:
                    batcher.skip(line)
        except EventFileDamaged:
            yield from batcher.flush(source.position)
            raise
        yield from batcher.flush(source.position)
        if source.has_garbage:
            on_garbage()


def find_line_digest(file: Path, line: int) -> str | None:
    """Return the `digest` of a line, or None when the file has no such line. Blocks on the disk."""
    with open_input(file) as source:
        try:
            return _digest_of(source, line)
        except EventFileDamaged:
            return None


def _digest_of(source: EventInput, line: int) -> str | None:
    return next((digest(text) for number, text in source.lines() if number == line), None)


def build_body(events: list[bytes]) -> bytes:
    """Return the request body with these events."""
    return _OPENING + b",".join(events) + _CLOSING


def digest(line: bytes) -> str:
    """Return a hash of the content of a line."""
    return hashlib.sha256(line).hexdigest()


def parse_line(number: int, line: bytes, ids: LineIds) -> Line | BadLine:
    """Return the line as it is sent: unchanged, except that `ids` adds a missing event_id."""
    if len(line) > LONGEST_LINE:
        return _bad(number, line, "event_too_large", f"A line has at most {LONGEST_LINE} bytes.")
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError:
        return _bad(number, line, "invalid_json", "The line is not UTF-8.")
    except RecursionError:
        return _bad(number, line, "too_deep", "The line is nested too deeply.")
    except ValueError as error:
        return _bad(number, line, "invalid_json", f"The line is not JSON: {error}.")
    if not isinstance(value, dict):
        return _bad(number, line, "not_an_object", "An event must be a JSON object.")
    if value.get("event_id") is not None:
        return Line(number, line)
    own_id = ids(number, line)
    if "event_id" in value:
        return Line(number, json.dumps({**value, "event_id": own_id}, separators=(",", ":")).encode())
    return Line(number, b'{"event_id":"%b"%b%b' % (own_id.encode(), b"," if value else b"", line[1:].lstrip()))


def _bad(number: int, line: bytes, code: str, detail: str) -> BadLine:
    return BadLine(number, code, detail, line[:_SHOWN_CHARACTERS].decode(errors="backslashreplace"))


class _Batcher:
    """Collects lines until a request is full."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._number = 0
        self._last_line = 0
        self._last_digest = ""
        self._previous: bytes | None = None
        self._clear()

    def skip(self, line: Line | BadLine) -> None:
        """Pass a line that an earlier run has sent."""
        if isinstance(line, Line):
            self._previous = line.event

    def add(self, line: Line | BadLine, text: bytes, position: int) -> Iterator[Batch]:
        """Add a line. Yields the batch before it if the line does not fit."""
        added = len(line.event) + 1 if isinstance(line, Line) else 0
        if self._count == self._size or self._bytes + added > MAX_BODY_BYTES:
            yield from self.flush(position)
        match line:
            case Line():
                self._lines.append(line)
                self._bytes += added
            case BadLine():
                self._bad_lines.append(line)
        self._last_line, self._last_digest = line.number, digest(text)

    def flush(self, position: int) -> Iterator[Batch]:
        """Yield the collected lines, if there are any."""
        if self._count:
            lines, bad_lines = tuple(self._lines), tuple(self._bad_lines)
            yield Batch(self._number, lines, bad_lines, self._last_line, self._last_digest, position, self._previous)
            self._number += 1
            if lines:
                self._previous = lines[-1].event
            self._clear()

    @property
    def _count(self) -> int:
        return len(self._lines) + len(self._bad_lines)

    def _clear(self) -> None:
        self._lines: list[Line] = []
        self._bad_lines: list[BadLine] = []
        self._bytes = len(_OPENING) + len(_CLOSING)
