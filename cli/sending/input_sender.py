"""Sends an input so that an interruption costs nothing: what is acknowledged is noted, in the order of the input."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from cli.sending.delivery import Courier
from cli.sending.event_file import BadLine, Batch, Line, read_batches
from cli.sending.event_lines import EventFileDamaged
from cli.sending.ingest_answers import DEFECT, IngestUnavailable
from cli.sending.journal import Journal, Progress
from cli.sending.line_ids import id_by_number, ids_by_content
from cli.sending.parallel import in_parallel, read_in_thread
from schemas.verdicts import Verdict

T = TypeVar("T")


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


class InputSender:
    """Sends one input once."""

    def __init__(
        self,
        file: Path,
        courier: Courier,
        journal: Journal,
        *,
        clock: Callable[[], float],
        skip_poison: bool = True,
        on_progress: Callable[[Progress, int], None] = lambda _progress, _position: None,
        on_garbage: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_progress` is told the progress and the bytes of the input it took, `on_garbage` as `read_batches` says.

        An event that ingest fails on is written down like a rejected one; without `skip_poison` it ends the sending.
        """
        self._file = file
        self._courier = courier
        self._journal = journal
        self._clock = clock
        self._skip_poison = skip_poison
        self._on_progress = on_progress
        self._on_garbage = on_garbage
        self._in_order: InOrder[tuple[Batch, list[dict[str, Any]]]] = InOrder()
        self._damage: EventFileDamaged | None = None
        self.progress = Progress()

    async def send(self, *, batch_size: int, concurrency: int) -> Progress:
        """Send what is not acknowledged yet; return the totals over all runs.

        Raises ConfigurationError, IngestUnavailable, EventFileDamaged (all before the damage is sent) and OSError.
        """
        self.progress = self._journal.open()
        self._since = self._clock()
        name = self.progress.name
        batches = read_batches(
            self._file,
            id_by_number if name is None else ids_by_content(name),
            size=batch_size,
            after_line=self.progress.line,
            on_garbage=self._on_garbage,
        )
        await in_parallel(read_in_thread(self._until_damage(batches)), self._deliver, concurrency)
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
        events = [line.event for line in batch.lines]
        verdicts = await self._courier.deliver(events, batch.neighbour) if events else []
        if not self._skip_poison:
            self._stop_at_poison(batch, verdicts)
        for done, rejected in self._in_order.add(batch.number, (batch, rejected_of(batch, verdicts))):
            self._acknowledge(done, rejected)

    def _stop_at_poison(self, batch: Batch, verdicts: Sequence[Verdict]) -> None:
        for line, verdict in zip(batch.lines, verdicts, strict=True):
            if verdict.code == DEFECT:
                way_on = f"mend or remove the line, or set it aside in {self._journal.rejected_file} by --on-error skip"
                raise IngestUnavailable(f"fails on line {line.number}", f"{verdict.detail} To go on, {way_on}")

    def _acknowledge(self, batch: Batch, rejected: list[dict[str, Any]]) -> None:
        size = self._journal.append(rejected) if rejected else self.progress.rejected_bytes
        now = self._clock()
        progress = self.progress.after(batch, len(rejected), size, now - self._since)
        self._journal.save(progress)
        self.progress, self._since = progress, now
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
