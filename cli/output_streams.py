"""Configures standard output and standard error for every terminal, pipe and disk. Called once, in main.py.

A character that the encoding lacks becomes a JSON escape, so that the output of --json stays JSON. A message that
cannot be written to standard error is dropped, and the work continues. When standard output, which carries the result,
cannot be written, the command fails without a traceback.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

CLOSED: Final = 1
"""Exit code when the reader closed standard output."""

FULL: Final = 3
"""Exit code when standard output cannot be written, for example on a full disk."""

_ESCAPES: Final = "studyin.json_escapes"
_OUTPUT_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE})


@contextmanager
def safe_output() -> Iterator[None]:
    """Configure both streams for the block and flush standard output after it.

    Raises SystemExit when standard output cannot be written.
    """
    codecs.register_error(_ESCAPES, _escaped)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ESCAPES)
    if isinstance(sys.stderr, io.TextIOWrapper):
        encoding = sys.stderr.encoding
        sys.stderr = _Messages(sys.stderr.detach(), encoding, _ESCAPES, line_buffering=True)
    try:
        yield
        _flush()
    except SystemExit:
        try:
            _flush()
        except OSError as error:
            _exit_for(error)
        raise
    except OSError as error:
        # an error with a file name concerns a file, not a stream
        if error.filename is not None or error.errno not in _OUTPUT_ERRORS:
            raise
        _exit_for(error)


class _Messages(io.TextIOWrapper):
    """Standard error. A message that cannot be written is dropped."""

    def write(self, text: str) -> int:
        """Write the text; return its length also when it was dropped."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Write the buffer, or drop it."""
        with suppress(OSError):
            super().flush()


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    units = text.encode("utf-16-be", "surrogatepass")
    escapes = [f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)]
    return "".join(escapes), error.end


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _exit_for(error: OSError) -> None:
    # the rest of the buffer goes to /dev/null: the flush at exit must not fail again
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    if error.errno == errno.EPIPE:
        sys.exit(CLOSED)
    sys.stderr.write(f"analytics: standard output cannot be written: {error.strerror}\n")
    sys.exit(FULL)
