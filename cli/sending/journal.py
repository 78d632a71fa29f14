"""The journal of an input: its progress, and its rejected events.

FILE.progress has the last line up to which all lines are acknowledged. FILE.rejected.ndjson has each event that was not
accepted, with the reason. A batch is recorded in both files or in neither. A pipe has no progress, because it cannot be
read again.
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

from cli.sending.event_file import Batch, find_line_digest
from cli.sending.line_ids import default_input_name
from runtime.errors import ConfigurationError

STREAM_REJECTED: Final = Path("stdin.rejected.ndjson")
"""In the working directory."""

_READ_AND_WRITE: Final = 0o666


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an input and its totals, over all runs."""

    line: int = 0
    """The last line up to which all lines are acknowledged."""
    digest: str = ""
    """Hash of that line, to detect that the file has changed."""
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    rejected_bytes: int = 0
    """Size of the file of rejected events, in bytes."""
    seconds: float = 0.0
    name: str | None = None
    """Name of the input, from which ids are derived. None if an earlier release began the file, with ids by number."""

    def after(self, batch: Batch, rejected: int, rejected_bytes: int, seconds: float) -> Progress:
        """Return the progress after one more batch, which took `seconds`."""
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
    """Records the outcome of the lines. Every method blocks on the disk and raises OSError."""

    rejected_file: Path

    @property
    def resume_advice(self) -> str:
        """Message that says how to resume after an interruption."""
        ...

    def open(self) -> Progress:
        """Return the progress to resume from. Raises ConfigurationError when it does not fit the input."""
        ...

    def append(self, rejected: Sequence[dict[str, Any]]) -> int:
        """Append rejected events durably; return the size of their file in bytes."""
        ...

    def save(self, progress: Progress) -> None:
        """Write the progress atomically."""
        ...

    def close(self) -> None:
        """Remove the progress after the whole input was sent."""
        ...


class FileJournal:
    """The journal of a file: two files next to it."""

    def __init__(self, file: Path, *, restart: bool = False, name: str | None = None, rejected: Path | None = None):
        """`name` is the name of the input. Default: the name of an unfinished run, or else the path of the file."""
        self._file = file
        self._restart = restart
        self._name = name
        self._mode = _mode_of(file)
        self.progress_file = file.with_name(f"{file.name}.progress")
        self.rejected_file = rejected or file.with_name(f"{file.name}.rejected.ndjson")

    @property
    def resume_advice(self) -> str:
        """Message that says whether the next run resumes."""
        if self.progress_file.is_file():
            return "the progress is saved: run the same command again to resume"
        return "nothing is acknowledged yet: the same command starts from the beginning"

    def open(self) -> Progress:
        """Return the progress to resume from, and truncate the rejected events to it.

        Raises ConfigurationError when the progress does not belong to this file.
        """
        progress = None if self._restart else self._read()
        if progress is None:
            fresh = Progress(name=self._name_from_the_start())
            # checked before anything is moved: a file of another user is not from an earlier run
            require_owned(self.rejected_file)
            self.progress_file.unlink(missing_ok=True)
            self._rotate_rejected()
            # fails before an event is sent if the file cannot be written
            _probe(self.rejected_file, self._mode)
            return fresh
        if not self._fits(progress):
            raise self._unusable("belongs to a file with other content")
        if self._name not in (None, progress.name):
            raise self._unusable(
                "belongs to a run with another --input" if progress.name else "belongs to a run without --input"
            )
        if os.path.lexists(self.rejected_file):
            _truncate(self.rejected_file, progress.rejected_bytes)
        elif progress.rejected_bytes:
            raise self._unusable("has rejected events, but", f"{self.rejected_file} is missing")
        _probe(self.rejected_file, self._mode)
        return progress

    def append(self, rejected: Sequence[dict[str, Any]]) -> int:
        """Append rejected events durably; return the size of their file in bytes."""
        return _append(self.rejected_file, rejected, self._mode)

    def save(self, progress: Progress) -> None:
        """Write the progress atomically. The previous progress stays when the disk is full."""
        fresh = self.progress_file.with_name(f".{self.progress_file.name}.new")
        fresh.unlink(missing_ok=True)
        try:
            with _opened(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._mode) as stream:
                stream.write(json.dumps(asdict(progress)) + "\n")
            fresh.replace(self.progress_file)
        finally:
            fresh.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the progress after the whole file was sent."""
        self.progress_file.unlink(missing_ok=True)

    def _rotate_rejected(self) -> None:
        """Rename the rejected events of an earlier run. A device is not renamed."""
        if self.rejected_file.is_file():
            self.rejected_file.replace(self.rejected_file.with_name(f"{self.rejected_file.name}.1"))

    def _name_from_the_start(self) -> str | None:
        """Return the name of the input for a file that is sent from its start.

        An unfinished file keeps its name, and so the ids of its lines, so that no event counts twice.
        """
        if self._name is not None:
            return self._name
        try:
            earlier = self._read()
        except ConfigurationError:
            earlier = None
        return (
            earlier.name
            if earlier is not None and earlier.line and self._fits(earlier)
            else default_input_name(self._file)
        )

    def _fits(self, progress: Progress) -> bool:
        return not progress.line or find_line_digest(self._file, progress.line) == progress.digest

    def _read(self) -> Progress | None:
        try:
            with _opened(self.progress_file, os.O_RDONLY) as stream:
                return Progress(**json.loads(stream.read()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise self._unusable("is damaged") from None

    def _unusable(self, *why: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.progress_file} {' '.join(why)}; give --restart to send {self._file} from the start"
        )


class StreamJournal:
    """The journal of a pipe. It keeps the rejected events of earlier runs, whose pipes cannot be read again."""

    def __init__(self, *, name: str, rejected: Path | None = None) -> None:
        """`name` is the name of the input."""
        self._name = name
        self.rejected_file = rejected or STREAM_REJECTED

    @property
    def resume_advice(self) -> str:
        """Message that says how to send the pipe again."""
        return f"a pipe cannot be resumed: send all of it again with --input {self._name}, and no event counts twice"

    def open(self) -> Progress:
        """Return an empty progress. Raises OSError when rejected events cannot be written."""
        _probe(self.rejected_file, OWNER_ONLY)
        return Progress(name=self._name)

    def append(self, rejected: Sequence[dict[str, Any]]) -> int:
        """Append rejected events durably; return the size of their file in bytes."""
        return _append(self.rejected_file, rejected, OWNER_ONLY)

    def save(self, progress: Progress) -> None:
        """Do nothing: a pipe has no progress."""

    def close(self) -> None:
        """Do nothing: a pipe has no progress."""


def _append(file: Path, rejected: Sequence[dict[str, Any]], mode: int) -> int:
    with _opened(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode) as stream:
        for each in rejected:
            stream.write(json.dumps(each) + "\n")
        stream.flush()
        if file.is_file():
            os.fsync(stream.fileno())
        return stream.tell() if stream.seekable() else 0


def _probe(file: Path, mode: int) -> None:
    """Raise OSError when the file cannot be written. Leaves no new file behind."""
    exists = os.path.lexists(file)
    _append(file, [], mode)
    if not exists:
        file.unlink()


def _truncate(file: Path, size: int) -> None:
    with _opened(file, os.O_WRONLY) as stream:
        if file.is_file():
            os.ftruncate(stream.fileno(), size)


def _mode_of(file: Path) -> int:
    """Return the mode for files derived from this one: it gives no user more access."""
    return stat.S_IMODE(file.stat().st_mode) & _READ_AND_WRITE | OWNER_ONLY


@contextmanager
def _opened(file: Path, flags: int, mode: int = OWNER_ONLY) -> Iterator[TextIO]:
    """Open a file through `open_owned`. A new file has exactly this mode."""
    is_new = not os.path.lexists(file)
    with os.fdopen(
        open_owned(file, flags, mode), "r" if flags & os.O_ACCMODE == os.O_RDONLY else "w", encoding="utf-8"
    ) as stream:
        if is_new:
            os.fchmod(stream.fileno(), mode)
        yield stream
