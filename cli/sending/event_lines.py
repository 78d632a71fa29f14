"""Reads the lines of a file, a pipe or standard input, gzipped or not."""

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
"""Denotes standard input."""

LONGEST_LINE: Final = MAX_BODY_BYTES - 256
"""Maximum bytes of a line, so that a request fits it alone with an added event_id."""

_STDIN_DESCRIPTOR: Final = 0
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS
_BOM: Final = b"\xef\xbb\xbf"
_CHUNK: Final = 256 * 1024


class EventFileDamaged(AnalyticsError):
    """The compressed input is truncated or corrupt. The lines before the damage are valid."""


def is_stream(file: Path) -> bool:
    """Return whether the input can be read only once, so that an interrupted run cannot resume.

    Blocks on the disk. Raises OSError.
    """
    return file == STDIN or not stat.S_ISREG(file.stat().st_mode)


@contextmanager
def open_input(file: Path) -> Iterator[EventInput]:
    """Open a file, a pipe, or standard input for `-`. Blocks until a named pipe has a writer. Raises OSError."""
    if file == STDIN:
        # unbuffered and separate from sys.stdin, whose buffer would delay lines and hold a lock
        with io.FileIO(_STDIN_DESCRIPTOR, closefd=False) as stream:
            yield EventInput(stream, "standard input")
    else:
        with io.FileIO(str(file)) as stream:
            yield EventInput(stream, str(file))


class EventInput:
    """The lines of an open input. Reading blocks."""

    def __init__(self, stream: io.RawIOBase, name: str) -> None:
        self._stream = stream
        self._name = name
        self.position = 0
        """Number of bytes of the input read so far."""
        self.last_line = 0
        """Number of the last line that was yielded, counted from 1."""
        self.has_garbage = False
        """Whether data that is not gzip followed the compressed lines. It is ignored."""

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the number and the stripped content of each line that is not blank.

        A line that is too long to send is truncated. Raises OSError, and EventFileDamaged after all readable lines.
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
        """Decompress all members, as `gzip -dc` does. Zeros after a member are padding; other data is ignored."""
        while head.startswith(_GZIP_MAGIC):
            member = zlib.decompressobj(_GZIP_FORMAT)
            while not member.eof:
                head = head or next(stored, b"")
                content = member.decompress(head, _CHUNK)
                if not (head or content or member.eof):
                    raise EOFError("it ends within the compressed data")
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
    """A readable stream over chunks of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer with the rest of a chunk or the next one. Returns the number of bytes, 0 at the end."""
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
