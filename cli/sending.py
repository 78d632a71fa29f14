"""Sends a file so that an interruption costs nothing: what is acknowledged is written down, in the order of the file.

FILE.progress holds how far the file is acknowledged without a gap; FILE.rejected.ndjson holds every event that was
not accepted, and why. Both are written together: a batch is in neither or in both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from cli.delivery import Courier, in_parallel
from cli.event_file import BadLine, Batch, EventFileDamaged, Line, line_digest, read_batches
from runtime.errors import ConfigurationError
from schemas.verdicts import Verdict

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file is sent, over all runs."""

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
        )


class InOrder(Generic[T]):
    """Holds back what comes early, so that numbers from 0 leave without a gap."""

    def __init__(self) -> None:
        self._next = 0
        self._early: dict[int, T] = {}

    def add(self, number: int, item: T) -> list[T]:
        """Take an item; return all that may leave now."""
        self._early[number] = item
        ready = []
        while self._next in self._early:
            ready.append(self._early.pop(self._next))
            self._next += 1
        return ready


class Journal:
    """The two files beside the file that is sent."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.progress_file = file.with_name(f"{file.name}.progress")
        self.rejected_file = file.with_name(f"{file.name}.rejected.ndjson")

    def open(self, *, restart: bool) -> Progress:
        """Return where to go on, and cut the rejected events to that point.

        Raises ConfigurationError when the progress is not that of this file. Blocks on the disk.
        """
        progress = None if restart else self._read()
        if progress is None:
            self.progress_file.unlink(missing_ok=True)
            self.rejected_file.unlink(missing_ok=True)
            return Progress()
        if progress.line and line_digest(self._file, progress.line) != progress.digest:
            raise ConfigurationError(f"{self.progress_file} is of another content; --restart sends {self._file} anew")
        if self.rejected_file.exists():
            os.truncate(self.rejected_file, progress.rejected_bytes)
        elif progress.rejected_bytes:
            raise ConfigurationError(f"{self.rejected_file} is gone; --restart sends {self._file} anew")
        return progress

    def append(self, rejected: Sequence[dict[str, Any]]) -> int:
        """Write rejected events durably; return the size of their file."""
        with self.rejected_file.open("a") as stream:
            for each in rejected:
                stream.write(json.dumps(each) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
            return stream.tell()

    def save(self, progress: Progress) -> None:
        """Write the progress in one step."""
        fresh = self.progress_file.with_name(f".{self.progress_file.name}.new")
        fresh.write_text(json.dumps(asdict(progress)) + "\n")
        fresh.replace(self.progress_file)

    def close(self) -> None:
        """Forget the progress: the file is sent."""
        self.progress_file.unlink(missing_ok=True)

    def _read(self) -> Progress | None:
        try:
            return Progress(**json.loads(self.progress_file.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise ConfigurationError(f"{self.progress_file} is damaged; --restart sends {self._file} anew") from None


class FileSender:
    """Sends one file once."""

    def __init__(
        self,
        file: Path,
        courier: Courier,
        *,
        clock: Callable[[], float],
        on_progress: Callable[[Progress, int], None] = lambda _progress, _position: None,
    ) -> None:
        """`on_progress` is told the progress and the bytes of the file it took."""
        self._file = file
        self._courier = courier
        self._clock = clock
        self._on_progress = on_progress
        self._journal = Journal(file)
        self._in_order: InOrder[tuple[Batch, list[dict[str, Any]]]] = InOrder()
        self._damage: EventFileDamaged | None = None

    async def send(self, *, batch_size: int, concurrency: int, restart: bool) -> Progress:
        """Send what is not acknowledged yet; return the totals over all runs.

        Raises ConfigurationError, IngestUnavailable, EventFileDamaged (all before the damage is sent) and OSError.
        """
        self.progress = self._journal.open(restart=restart)
        self._since = self._clock()
        batches = read_batches(self._file, size=batch_size, after_line=self.progress.line)
        await in_parallel(self._until_damage(batches), self._deliver, concurrency)
        if self._damage:
            raise self._damage
        self._journal.close()
        return self.progress

    def _until_damage(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        try:
            yield from batches
        except EventFileDamaged as damage:
            self._damage = damage

    async def _deliver(self, batch: Batch) -> None:
        verdicts = await self._courier.deliver([line.event for line in batch.lines]) if batch.lines else []
        for done, rejected in self._in_order.add(batch.number, (batch, rejected_of(batch, verdicts))):
            self._acknowledge(done, rejected)

    def _acknowledge(self, batch: Batch, rejected: list[dict[str, Any]]) -> None:
        size = self._journal.append(rejected) if rejected else self.progress.rejected_bytes
        now = self._clock()
        self.progress = self.progress.after(batch, len(rejected), size, now - self._since)
        self._since = now
        self._journal.save(self.progress)
        self._on_progress(self.progress, batch.position)


def rejected_of(batch: Batch, verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return what is written of each event that was not accepted, in the order of the file."""
    refused = [
        _rejected(line, verdict)
        for line, verdict in zip(batch.lines, verdicts, strict=True)
        if verdict.status == "rejected"
    ]
    return sorted([*refused, *map(_unsendable, batch.bad_lines)], key=lambda each: int(each["line"]))


def _rejected(line: Line, verdict: Verdict) -> dict[str, Any]:
    facts = {"code": verdict.code, "pointer": verdict.pointer, "detail": verdict.detail}
    return {"line": line.number, **facts, **_content(line)}


def _content(line: Line) -> dict[str, Any]:
    event = json.loads(line.event)
    try:
        json.dumps(event, allow_nan=False)
    except ValueError:
        # NaN and its like are no JSON, so the event is quoted as a text
        return {"text": line.event.decode()}
    return {"event": event}


def _unsendable(line: BadLine) -> dict[str, Any]:
    return {"line": line.number, "code": line.code, "pointer": "", "detail": line.detail, "text": line.text}
