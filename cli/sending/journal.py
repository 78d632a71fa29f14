"""What is written down while an input is sent.

FILE.progress holds how far the file is acknowledged without a gap; FILE.rejected.ndjson holds every event that was
not accepted, and why. Both are written together: a batch is in neither or in both. A pipe has no progress, since
nobody can read it twice.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TextIO

from studyin_analytics.owned_files import OWNER_ONLY, open_owned, require_owned

from cli.sending.event_file import Batch, line_digest
from cli.sending.line_ids import input_name
from runtime.errors import ConfigurationError

STREAM_REJECTED: Final = Path("stdin.rejected.ndjson")
"""In the working directory."""

_READ_AND_WRITE: Final = 0o666


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an input is sent, over all runs."""

    line: int = 0
    """The last line that is acknowledged, as all before it are."""
    digest: str = ""
    """Fingerprint of that line, to know the file again."""
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    rejected_bytes: int = 0
    """Size of the file of rejected events."""
    seconds: float = 0.0
    name: str | None = None
    """Name of the input, from which ids follow; None: an earlier release began the file and made ids by number."""

    def after(self, batch: Batch, rejected: int, rejected_bytes: int, seconds: float) -> Progress:
        """Return the progress once the next batch is acknowledged; `seconds` since the last one."""
        return Progress(
            line=batch.last_line,
            digest=batch.last_digest,
            read=self.read + batch.read,
            accepted=self.accepted + batch.read - rejected,
            rejected=self.rejected + rejected,
            rejected_bytes=rejected_bytes,
            seconds=self.seconds + seconds,
            name=self.name,
        )


class Journal(Protocol):
    """Keeps what became of the lines. Every method blocks on the disk and raises OSError."""

    rejected_file: Path

    @property
    def way_on(self) -> str:
        """How to go on after an interruption."""
        ...

    def open(self) -> Progress:
        """Return where to go on. Raises ConfigurationError when that cannot be said."""
        ...

    def append(self, rejected: Sequence[dict[str, Any]]) -> int:
        """Write rejected events durably; return the size of their file."""
        ...

    def save(self, progress: Progress) -> None:
        """Write the progress in one step."""
        ...

    def close(self) -> None:
        """Forget the progress: all is sent."""
        ...


class FileJournal:
    """The two files beside a file that is sent."""

    def __init__(self, file: Path, *, restart: bool = False, name: str | None = None, rejected: Path | None = None):
        """`name` is that of the input; not given, it is the one the file was begun with, or its path."""
        self._file = file
        self._restart = restart
        self._name = name
        self._mode = _mode_of(file)
        self.progress_file = file.with_name(f"{file.name}.progress")
        self.rejected_file = rejected or file.with_name(f"{file.name}.rejected.ndjson")

    @property
    def way_on(self) -> str:
        """How to go on: from the progress, if there is any."""
        if self.progress_file.is_file():
            return "what is acknowledged is noted: the same command goes on from there"
        return "nothing is acknowledged yet: the same command begins at the start"

    def open(self) -> Progress:
        """Return where to go on, and cut the rejected events to that point.

        Raises ConfigurationError when the progress is not that of this file.
        """
        progress = None if self._restart else self._read()
        if progress is None:
            fresh = Progress(name=self._name_from_the_start())
            # before anything is moved: a file that is not ours is no former run's
            require_owned(self.rejected_file)
            self.progress_file.unlink(missing_ok=True)
            self._keep_former()
            # whatever is wrong with the file is said before an event is sent
            _probe(self.rejected_file, self._mode)
            return fresh
        if not self._fits(progress):
            raise self._unusable("is of another content")
        if self._name not in (None, progress.name):
            raise self._unusable("is of a run with another --input" if progress.name else "is of a run without --input")
        if os.path.lexists(self.rejected_file):
            _cut(self.rejected_file, progress.rejected_bytes)
        elif progress.rejected_bytes:
            raise self._unusable("has rejected events", f"whose file {self.rejected_file} is gone")
        _probe(self.rejected_file, self._mode)
        return progress

    def append(self, rejected: Sequence[dict[str, Any]]) -> int:
        """Write rejected events durably; return the size of their file."""
        return _append(self.rejected_file, rejected, self._mode)

    def save(self, progress: Progress) -> None:
        """Write the progress in one step; the one before stays when the disk is full."""
        fresh = self.progress_file.with_name(f".{self.progress_file.name}.new")
        fresh.unlink(missing_ok=True)
        try:
            with _opened(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._mode) as stream:
                stream.write(json.dumps(asdict(progress)) + "\n")
            fresh.replace(self.progress_file)
        finally:
            fresh.unlink(missing_ok=True)

    def close(self) -> None:
        """Forget the progress: the file is sent."""
        self.progress_file.unlink(missing_ok=True)

    def _keep_former(self) -> None:
        """Move the rejected events of a former run out of the way; a device stays."""
        if self.rejected_file.is_file():
            self.rejected_file.replace(self.rejected_file.with_name(f"{self.rejected_file.name}.1"))

    def _name_from_the_start(self) -> str | None:
        """Return what the ids of a file that is sent from the start follow from.

        A file that was begun keeps its ids, also those of an earlier release: what it sent must not count again.
        """
        if self._name is not None:
            return self._name
        try:
            begun = self._read()
        except ConfigurationError:
            begun = None
        return begun.name if begun is not None and begun.line and self._fits(begun) else input_name(self._file)

    def _fits(self, progress: Progress) -> bool:
        return not progress.line or line_digest(self._file, progress.line) == progress.digest

    def _read(self) -> Progress | None:
        try:
            with _opened(self.progress_file, os.O_RDONLY) as stream:
                return Progress(**json.loads(stream.read()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise self._unusable("is damaged") from None

    def _unusable(self, *why: str) -> ConfigurationError:
        return ConfigurationError(f"{self.progress_file} {' '.join(why)}; --restart sends {self._file} anew")


class StreamJournal:
    """The rejected events of a pipe. They are added to what the file holds: the pipe they came from is gone."""

    def __init__(self, *, name: str, rejected: Path | None = None) -> None:
        """`name` is that of the input."""
        self._name = name
        self.rejected_file = rejected or STREAM_REJECTED

    @property
    def way_on(self) -> str:
        """How to go on: from the start, under the same name."""
        return f"a pipe can not be resumed: send all of it again with --input {self._name}, and nothing counts twice"

    def open(self) -> Progress:
        """Return that nothing is sent. Raises OSError when rejected events could not be written."""
        _probe(self.rejected_file, OWNER_ONLY)
        return Progress(name=self._name)

    def append(self, rejected: Sequence[dict[str, Any]]) -> int:
        """Write rejected events durably; return the size of their file."""
        return _append(self.rejected_file, rejected, OWNER_ONLY)

    def save(self, progress: Progress) -> None:
        """Write nothing: the next run reads other lines."""

    def close(self) -> None:
        """Forget nothing."""


def _append(file: Path, rejected: Sequence[dict[str, Any]], mode: int) -> int:
    with _opened(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode) as stream:
        for each in rejected:
            stream.write(json.dumps(each) + "\n")
        stream.flush()
        if file.is_file():
            os.fsync(stream.fileno())
        return stream.tell() if stream.seekable() else 0


def _probe(file: Path, mode: int) -> None:
    """Raise OSError when nothing could be written to the file; one that is not there is not made."""
    is_there = os.path.lexists(file)
    _append(file, [], mode)
    if not is_there:
        file.unlink()


def _cut(file: Path, size: int) -> None:
    with _opened(file, os.O_WRONLY) as stream:
        if file.is_file():
            os.ftruncate(stream.fileno(), size)


def _mode_of(file: Path) -> int:
    """Return the mode of what is written about a file: nobody may read more than before."""
    return stat.S_IMODE(file.stat().st_mode) & _READ_AND_WRITE | OWNER_ONLY


@contextmanager
def _opened(file: Path, flags: int, mode: int = OWNER_ONLY) -> Iterator[TextIO]:
    """Open a file that `open_owned` takes; one that is made has exactly this mode."""
    is_new = not os.path.lexists(file)
    with os.fdopen(
        open_owned(file, flags, mode), "r" if flags & os.O_ACCMODE == os.O_RDONLY else "w", encoding="utf-8"
    ) as stream:
        if is_new:
            os.fchmod(stream.fileno(), mode)
        yield stream
