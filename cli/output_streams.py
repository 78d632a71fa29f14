"""Output that any terminal, pipe or disk can take, set up once where the command line starts.

A character that the encoding of the output lacks becomes an escape of JSON, so that --json stays JSON. Messages on
standard error that cannot be written are dropped: they must not end the work. Standard output is the result: when it
cannot be written the command fails, without a traceback.
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
"""Exit code when the reader of the output went away."""

FULL: Final = 3
"""Exit code when the output cannot be written, as on a full disk."""

_ESCAPES: Final = "studyin.json_escapes"
_OUTPUT_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE})


@contextmanager
def any_output() -> Iterator[None]:
    """Let the block write to standard output and error whatever they are.

    Raises SystemExit when standard output could not be written.
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
            _end(error)
        raise
    except OSError as error:
        # files have names in their errors; a stream has none
        if error.filename is not None or error.errno not in _OUTPUT_ERRORS:
            raise
        _end(error)


class _Messages(io.TextIOWrapper):
    """Standard error."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is left, if that can be."""
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


def _end(error: OSError) -> None:
    # what is left in the buffers has nowhere to go, and must not fail once more at the exit
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    if error.errno == errno.EPIPE:
        sys.exit(CLOSED)
    sys.stderr.write(f"analytics: standard output cannot be written: {error.strerror}\n")
    sys.exit(FULL)
