"""Reads the lines of an input of events: a file, a pipe or standard input, gzipped or not."""

from __future__ import annotations

import io
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime.errors import AnalyticsError
from schemas.limits import MAX_BODY_BYTES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STDIN: Final = Path("-")
"""Stands for standard input."""

LONGEST_LINE: Final = MAX_BODY_BYTES - 256
"""Bytes of a line that a request can carry alone, with an event_id of ours."""

_STDIN_DESCRIPTOR: Final = 0
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS
_BOM: Final = b"\xef\xbb\xbf"
_CHUNK: Final = 256 * 1024


class EventFileDamaged(AnalyticsError):
    """The compressed input ends too soon or is not what it claims to be; the lines before the damage are good."""


def is_stream(file: Path) -> bool:
    """Return whether the input can be read only once, so that a run cannot go on where an earlier one ended.

    Blocks on the disk. Raises OSError.
    """
    return file == STDIN or not stat.S_ISREG(file.stat().st_mode)


@contextmanager
def open_input(file: Path) -> Iterator[EventInput]:
    """Open a file, a pipe, or standard input for `-`. Blocks until a named pipe has a writer. Raises OSError."""
    if file == STDIN:
        # a descriptor of our own: the buffer of sys.stdin must neither hold back nor lock anything
        with io.FileIO(_STDIN_DESCRIPTOR, closefd=False) as stream:
            yield EventInput(stream, "standard input")
    else:
        with io.FileIO(str(file)) as stream:
            yield EventInput(stream, str(file))


class EventInput:
    """The lines of an open input. Blocks while it is read."""

    def __init__(self, stream: io.RawIOBase, name: str) -> None:
        self._stream = stream
        self._name = name
        self.position = 0
        """Bytes of the input read so far."""
        self.last_line = 0
        """Number of the last line that was given, from 1."""
        self.has_garbage = False
        """Whether something that is no gzip stood behind the compressed lines; it is left out."""

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Give the number of each line that is not blank, and the line without the space around it.

        Of a line that is too long to send only the beginning. Raises OSError, and EventFileDamaged once all that could
        be read is given.
        """
        stored = self._stored()
        head = _at_least(2, stored)
        content = self._inflated(head, stored) if head.startswith(_GZIP_MAGIC) else _chained(head, stored)
        try:
            for number, line in _lines(io.BufferedReader(_Chunks(content), _CHUNK)):
                self.last_line = number
                yield number, line
        except (EOFError, zlib.error) as damage:
            raise EventFileDamaged(f"{self._name} is damaged after line {self.last_line}: {damage}") from damage

    def _stored(self) -> Iterator[bytes]:
        while chunk := self._stream.read(_CHUNK):
            self.position += len(chunk)
            yield chunk

    def _inflated(self, head: bytes, stored: Iterator[bytes]) -> Iterator[bytes]:
        """Decompress member after member, as `gzip -dc` does: zeros behind one are padding, other bytes no lines."""
        while head.startswith(_GZIP_MAGIC):
            member = zlib.decompressobj(_GZIP_FORMAT)
            while not member.eof:
                head = head or next(stored, b"")
                content = member.decompress(head, _CHUNK)
                if not (head or content or member.eof):
                    raise EOFError("it ends before the compressed lines do")
                head = member.unconsumed_tail
                yield content
            head = member.unused_data.lstrip(b"\0")
            while len(head) < len(_GZIP_MAGIC) and (more := next(stored, b"")):
                head = (head + more).lstrip(b"\0")
        self.has_garbage = head != b""


def _at_least(count: int, chunks: Iterator[bytes]) -> bytes:
    head = b""
    while len(head) < count and (more := next(chunks, b"")):
        head += more
    return head


def _chained(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from chunks


def _lines(content: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := content.readline(LONGEST_LINE + 2):
        number += 1
        part = line
        while not part.endswith(b"\n") and (part := content.readline(LONGEST_LINE)):
            pass
        stripped = (line.removeprefix(_BOM) if number == 1 else line).strip(b" \t\r\n")
        if stripped:
            yield number, stripped


class _Chunks(io.RawIOBase):
    """Bytes that come in pieces, as a stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return whether it can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer with the rest of a piece or with the next one; return how many bytes, 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        room = memoryview(buffer)
        count = min(len(room), len(self._rest))
        room[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
