"""The file that keeps what was set aside from memory: one event a line, as it would have been sent."""

from __future__ import annotations

import os
from os import PathLike

from .errors import ConfigurationError, StoreFailed
from .owned_files import open_owned


class DeadLetterFile:
    """Appends events to a file that `open_owned` takes. Any number of processes may have the same file."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Raise ConfigurationError when nothing can be written there."""
        self.path = os.fspath(path)
        self._is_torn = False
        try:
            os.close(self._open())
        except OSError as error:
            raise ConfigurationError(f"dead_letter_file: nothing can be written there: {error}") from error

    def append(self, body: bytes) -> None:
        """Write one event. Raises StoreFailed."""
        line = (b"\n" if self._is_torn else b"") + body + b"\n"
        try:
            file = self._open()
            try:
                self._is_torn = os.write(file, line) < len(line)
                if self._is_torn:
                    raise OSError("only a part of the line was written")
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise StoreFailed("dead_letter_file_failed") from error

    def _open(self) -> int:
        # for its owner only: it has raw ids of learners
        return open_owned(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
