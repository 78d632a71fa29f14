"""The file of dead letters of clients without a spool: one event per line, as it was sent."""

from __future__ import annotations

import os
from os import PathLike

from .errors import ConfigurationError, StoreFailed
from .owned_files import open_owned


class DeadLetterFile:
    """Appends events to a file that `open_owned` accepts. Processes may share the file."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Raise ConfigurationError when the file cannot be written."""
        self.path = os.fspath(path)
        self._is_torn = False
        try:
            os.close(self._open())
        except OSError as error:
            raise ConfigurationError(f"dead_letter_file cannot be written: {error}") from error

    def append(self, body: bytes) -> None:
        """Append one event durably. Raises StoreFailed."""
        line = (b"\n" if self._is_torn else b"") + body + b"\n"
        try:
            file = self._open()
            try:
                self._is_torn = os.write(file, line) < len(line)
                if self._is_torn:
                    raise OSError("the line was written only in part")
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise StoreFailed("dead_letter_file_failed") from error

    def _open(self) -> int:
        # readable for its owner only, because it has raw learner ids
        return open_owned(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
