"""Reads a file of events, one JSON object a line, gzipped or not, and cuts it into batches that ingest takes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.errors import AnalyticsError
from schemas.limits import MAX_BODY_BYTES

_OPENING: Final = b'{"events":['
_CLOSING: Final = b"]}"
_ROOM_FOR_ID: Final = 128
_LONGEST_LINE: Final = MAX_BODY_BYTES - len(_OPENING) - len(_CLOSING) - _ROOM_FOR_ID
_GZIP_MAGIC: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_SHOWN_CHARACTERS: Final = 2_000


class EventFileDamaged(AnalyticsError):
    """The compressed file ends too soon or is not what it claims to be; the lines before the damage are good."""


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

    @property
    def read(self) -> int:
        """Return how many lines that are not blank it holds."""
        return len(self.lines) + len(self.bad_lines)


def read_batches(file: Path, *, size: int, after_line: int = 0) -> Iterator[Batch]:
    """Give the lines beyond `after_line`, at most `size` a batch, each batch within the limit of a request body.

    Blocks on the disk. Raises OSError, and EventFileDamaged once all that could be read is given.
    """
    with file.open("rb") as raw:
        cutter = _Cutter(size, after_line)
        try:
            for number, line in _lines(_content(raw)):
                if number > after_line:
                    yield from cutter.add(number, line, raw.tell())
        except (EOFError, zlib.error, gzip.BadGzipFile) as damage:
            yield from cutter.rest(raw.tell())
            raise EventFileDamaged(f"{file} is damaged after line {cutter.last_line}: {damage}") from damage
        yield from cutter.rest(raw.tell())


def line_digest(file: Path, line: int) -> str | None:
    """Return what `Batch.last_digest` says of a line, None when the file has no such line. Blocks on the disk."""
    with file.open("rb") as raw:
        try:
            return next((digest(text) for number, text in _lines(_content(raw)) if number == line), None)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return None


def body_of(events: list[bytes]) -> bytes:
    """Return the body of a request that carries the events."""
    return _OPENING + b",".join(events) + _CLOSING


def digest(line: bytes) -> str:
    """Return a fingerprint of a line's content."""
    return hashlib.sha256(line).hexdigest()


def parse_line(number: int, line: bytes) -> Line | BadLine:
    """Return what is sent of a line, word for word but for an event_id where it has none.

    That id follows from the line and its number: sending the file again counts nothing twice.
    """
    if len(line) > _LONGEST_LINE:
        return _bad(number, line, "event_too_large", f"A line may have {_LONGEST_LINE} bytes.")
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
    own_id = f"line-{digest(b'%d %b' % (number, line))}"
    if "event_id" in value:
        return Line(number, json.dumps({**value, "event_id": own_id}, separators=(",", ":")).encode())
    return Line(number, b'{"event_id":"%b"%b%b' % (own_id.encode(), b"," if value else b"", line[1:].lstrip()))


def _bad(number: int, line: bytes, code: str, detail: str) -> BadLine:
    return BadLine(number, code, detail, line[:_SHOWN_CHARACTERS].decode(errors="backslashreplace"))


def _content(raw: io.BufferedReader) -> io.BufferedReader:
    is_gzip = raw.read(2) == _GZIP_MAGIC
    raw.seek(0)
    return io.BufferedReader(gzip.GzipFile(fileobj=raw)) if is_gzip else raw


def _lines(content: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """Give each line that is not blank, without the space around it. Of a line too long to send only the beginning."""
    number = 0
    while line := content.readline(_LONGEST_LINE + 2):
        number += 1
        part = line
        while not part.endswith(b"\n") and (part := content.readline(_LONGEST_LINE)):
            pass
        stripped = (line.removeprefix(_BOM) if number == 1 else line).strip(b" \t\r\n")
        if stripped:
            yield number, stripped


class _Cutter:
    """Gathers lines until they fill a request."""

    def __init__(self, size: int, after_line: int) -> None:
        self.last_line = after_line
        self._size = size
        self._number = 0
        self._last_digest = ""
        self._start_anew()

    def add(self, number: int, text: bytes, position: int) -> Iterator[Batch]:
        """Take one more line; give the batch before it when both would be too much."""
        line = parse_line(number, text)
        added = len(line.event) + 1 if isinstance(line, Line) else 0
        if self._count == self._size or self._bytes + added > MAX_BODY_BYTES:
            yield from self.rest(position)
        match line:
            case Line():
                self._lines.append(line)
                self._bytes += added
            case BadLine():
                self._bad_lines.append(line)
        self.last_line, self._last_digest = number, digest(text)

    def rest(self, position: int) -> Iterator[Batch]:
        """Give what is gathered, if anything."""
        if self._count:
            lines, bad_lines = tuple(self._lines), tuple(self._bad_lines)
            yield Batch(self._number, lines, bad_lines, self.last_line, self._last_digest, position)
            self._number += 1
            self._start_anew()

    @property
    def _count(self) -> int:
        return len(self._lines) + len(self._bad_lines)

    def _start_anew(self) -> None:
        self._lines: list[Line] = []
        self._bad_lines: list[BadLine] = []
        self._bytes = len(_OPENING) + len(_CLOSING)
