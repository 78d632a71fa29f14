"""`analytics send`: pushes a file of events through the front door."""

from __future__ import annotations

import asyncio
import errno
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.interrupt import INTERRUPTED, unless_interrupted
from cli.local.dev_file import DATA_DIR, DataDir
from cli.output import Column, Row, byte_bar, say, show_json, show_table
from cli.sending.delivery import Courier, RetryPolicy
from cli.sending.event_lines import STDIN, is_stream
from cli.sending.ingest_answers import IngestUnavailable
from cli.sending.input_sender import InputSender
from cli.sending.journal import FileJournal, Journal, StreamJournal
from cli.sending.journal import Progress as Sent
from cli.sending.line_ids import input_name
from cli.target import Key, Target, Url, find_target
from runtime.errors import ConfigurationError, DependencyUnavailable
from schemas.limits import MAX_BATCH_EVENTS

_DISK_TROUBLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class DiskUnavailable(DependencyUnavailable):
    """The disk takes or gives nothing; what is acknowledged is noted as far as it could be written."""

    dependency = "disk"


class OnError(StrEnum):
    """What becomes of a line that ingest fails on while it accepts others."""

    SKIP = "skip"
    STOP = "stop"


def send(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="One JSON event a line; may be gzipped, and a pipe. `-` is standard input."
        ),
    ],
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DATA_DIR,
    input_: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="NAME",
            help="Name of the input, from which ids of lines without an event_id follow. Not given: the path of FILE.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=MAX_BATCH_EVENTS, help="Most events a request.")] = 1000,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at once.")] = 4,
    give_up_after: Annotated[
        float, typer.Option(min=0, help="Seconds of nothing but failures before exit code 3.")
    ] = 60.0,
    on_error: Annotated[
        OnError,
        typer.Option(help="When ingest fails on a line and accepts others: write it to the rejected events, or stop."),
    ] = OnError.SKIP,
    attempts: Annotated[int, typer.Option(min=1, max=100, help="How often ingest may fail on such a line alone.")] = 3,
    rejected: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="File of the rejected events. Not given: FILE.rejected.ndjson; of a pipe: stdin.rejected.ndjson.",
        ),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Send all again, whatever FILE.progress says.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Push events from FILE. Interrupted, the same command goes on where it was; nothing counts twice.

    A line without an event_id gets one that follows from the input, the content of the line, and how many identical
    lines came before it. The same file sent again counts nothing twice; the same line in another file counts. Give
    events an event_id where a file may be moved, split, filtered or written anew under its old name.

    Events that are not accepted are in FILE.rejected.ndjson, and the exit code is 1. It is 3 when ingest does not
    answer or refuses the key. A pipe can not be resumed: send all of it again under the same --input.
    """
    if file == STDIN and sys.stdin is None:
        raise ConfigurationError("standard input is closed")
    if file.is_dir():
        raise ConfigurationError(f"{file} is a directory")
    target = find_target(url, key, data_dir)
    policy = RetryPolicy(give_up_after=give_up_after, attempts=attempts)
    try:
        journal = _journal(file, input_, rejected, restart=restart)
        work = _send(file, target, journal, policy, batch_size, concurrency, skip_poison=on_error is OnError.SKIP)
        sent = asyncio.run(unless_interrupted(work))
    except IngestUnavailable:
        say(journal.way_on)
        raise
    except OSError as error:
        raise _file_error(error, file) from error
    if sent is None:
        say(f"interrupted; {journal.way_on}")
        raise typer.Exit(INTERRUPTED)
    _report(sent, as_json)
    if sent.rejected:
        say(f"the rejected events and why are in {journal.rejected_file}")
        raise typer.Exit(1)


def _journal(file: Path, name: str | None, rejected: Path | None, *, restart: bool) -> Journal:
    """Return where it is written what became of the lines."""
    if name == "":
        raise ConfigurationError("--input is empty")
    if not is_stream(file):
        if rejected is not None and rejected.resolve() == file.resolve():
            raise ConfigurationError(f"--rejected {rejected} is the file that is sent")
        return FileJournal(file, restart=restart, name=name, rejected=rejected)
    if restart:
        raise ConfigurationError("--restart is for files: a pipe is always sent from its start")
    return StreamJournal(name=name or input_name(file), rejected=rejected)


def _file_error(error: OSError, file: Path) -> ConfigurationError | DiskUnavailable:
    place, reason = error.filename or file, error.strerror or str(error)
    if error.errno in _DISK_TROUBLE:
        return DiskUnavailable(reason, f"at {place}; the same command goes on once there is room")
    return ConfigurationError(f"{place}: {reason}")


async def _send(
    file: Path,
    target: Target,
    journal: Journal,
    policy: RetryPolicy,
    batch_size: int,
    concurrency: int,
    *,
    skip_poison: bool,
) -> Sent:
    with byte_bar() as bar:
        task = bar.add_task("standard input" if file == STDIN else file.name, total=_size(file), facts="")

        def on_progress(sent: Sent, position: int) -> None:
            facts = f"{sent.accepted:,} accepted, {sent.rejected:,} rejected, {_rate(sent):,.0f}/s"
            bar.update(task, completed=position, facts=facts)

        async with target.open(concurrency) as client:
            courier = Courier(client, policy, on_delay=lambda reason: say(f"{reason}; trying again"))
            sender = InputSender(
                file,
                courier,
                journal,
                clock=time.monotonic,
                skip_poison=skip_poison,
                on_progress=on_progress,
                on_garbage=lambda: say(f"{file}: what stands behind the compressed lines is no gzip and is left out"),
            )
            return await sender.send(batch_size=batch_size, concurrency=concurrency)


def _size(file: Path) -> int | None:
    return None if is_stream(file) else file.stat().st_size


def _rate(sent: Sent) -> float:
    return sent.read / sent.seconds if sent.seconds else 0.0


def _report(sent: Sent, as_json: bool) -> None:
    counts = {"read": sent.read, "accepted": sent.accepted, "rejected": sent.rejected}
    if as_json:
        speed = {"seconds": round(sent.seconds, 3), "events_per_second": round(_rate(sent), 1)}
        show_json({**counts, **speed}, indent=None)
        return
    columns = [Column(name, is_number=True) for name in (*counts, "seconds", "events/s")]
    cells = [*(f"{count:,}" for count in counts.values()), f"{sent.seconds:.1f}", f"{_rate(sent):,.0f}"]
    show_table(columns, [Row(cells)])
