"""Sends an input and journals the acknowledged lines in order, so that an interrupted run can resume."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from studyin_analytics.answers import DEFECT

from cli.sending.delivery import IngestClient
from cli.sending.event_file import BadLine, Batch, Line, read_batches
from cli.sending.event_lines import EventFileDamaged
from cli.sending.ingest_answers import IngestUnavailable
from cli.sending.journal import Journal, Progress
from cli.sending.line_ids import id_by_number, ids_by_content
from cli.sending.parallel import process_in_parallel, read_in_thread
from schemas.verdicts import Verdict

T = TypeVar("T")


class InOrder(Generic[T]):
    """Reorders numbered items: releases them from 0 without a gap."""

    def __init__(self) -> None:
        self._next = 0
        self._early: dict[int, T] = {}

    def add(self, number: int, item: T) -> list[T]:
        """Add an item; return the items that are next in order."""
        self._early[number] = item
        ready = []
        while self._next in self._early:
            ready.append(self._early.pop(self._next))
            self._next += 1
        return ready


class InputSender:
    """Sends one input, once."""

    def __init__(
        self,
        file: Path,
        ingest: IngestClient,
        journal: Journal,
        *,
        clock: Callable[[], float],
        skip_poison: bool = True,
        on_progress: Callable[[Progress, int], None] = lambda _progress, _position: None,
        on_garbage: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_progress` receives the progress and the bytes read; `on_garbage` is described at `read_batches`.

        A poison event is journaled like a rejected one. Without `skip_poison` it ends the sending.
        """
        self._file = file
        self._ingest = ingest
        self._journal = journal
        self._clock = clock
        self._skip_poison = skip_poison
        self._on_progress = on_progress
        self._on_garbage = on_garbage
        self._in_order: InOrder[tuple[Batch, list[dict[str, Any]]]] = InOrder()
        self._damage: EventFileDamaged | None = None
        self.progress = Progress()

    async def send(self, *, batch_size: int, concurrency: int) -> Progress:
        """Send the lines that are not acknowledged yet; return the totals of all runs.

        Raises ConfigurationError, IngestUnavailable, OSError, and EventFileDamaged after the lines before the damage.
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
        await process_in_parallel(read_in_thread(self._until_damage(batches)), self._deliver, concurrency)
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
        verdicts = await self._ingest.deliver(events, batch.previous) if events else []
        if not self._skip_poison:
            self._stop_at_poison(batch, verdicts)
        for done, rejected in self._in_order.add(batch.number, (batch, rejected_records(batch, verdicts))):
            self._acknowledge(done, rejected)

    def _stop_at_poison(self, batch: Batch, verdicts: Sequence[Verdict]) -> None:
        for line, verdict in zip(batch.lines, verdicts, strict=True):
            if verdict.code == DEFECT:
                fix = f"Correct or remove the line, or write it to {self._journal.rejected_file} with --on-error skip."
                raise IngestUnavailable(f"fails on line {line.number}", f"{verdict.detail} {fix}")

    def _acknowledge(self, batch: Batch, rejected: list[dict[str, Any]]) -> None:
        size = self._journal.append(rejected) if rejected else self.progress.rejected_bytes
        now = self._clock()
        progress = self.progress.after(batch, len(rejected), size, now - self._since)
        self._journal.save(progress)
        self.progress, self._since = progress, now
        self._on_progress(self.progress, batch.position)


def rejected_records(batch: Batch, verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return the journal records of the events that were not accepted, in the order of the file."""
    rejected = [
        _rejected(line, verdict)
        for line, verdict in zip(batch.lines, verdicts, strict=True)
        if verdict.status == "rejected"
    ]
    return sorted([*rejected, *map(_unsendable, batch.bad_lines)], key=lambda each: int(each["line"]))


def _rejected(line: Line, verdict: Verdict) -> dict[str, Any]:
    facts = {"code": verdict.code, "pointer": verdict.pointer, "detail": verdict.detail}
    return {"line": line.number, **facts, **_content(line)}


def _content(line: Line) -> dict[str, Any]:
    event = json.loads(line.event)
    try:
        json.dumps(event, allow_nan=False)
    except ValueError:
        # NaN and Infinity are not JSON, so the event is recorded as text
        return {"text": line.event.decode()}
    return {"event": event}


def _unsendable(line: BadLine) -> dict[str, Any]:
    return {"line": line.number, "code": line.code, "pointer": "", "detail": line.detail, "text": line.text}
