"""`analytics send`: sends the events of a file or a pipe to ingest."""

from __future__ import annotations

import asyncio
import errno
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.interrupt import INTERRUPTED, run_unless_interrupted
from cli.local.dev_file import DATA_DIR, DataDir
from cli.output import Column, Row, byte_bar, say, show_json, show_table
from cli.sending.delivery import IngestClient, RetryPolicy
from cli.sending.event_lines import STDIN, is_stream
from cli.sending.ingest_answers import IngestUnavailable
from cli.sending.input_sender import InputSender
from cli.sending.journal import FileJournal, Journal, StreamJournal
from cli.sending.journal import Progress as Sent
from cli.sending.line_ids import default_input_name
from cli.target import Key, Target, Url, find_target
from runtime.errors import ConfigurationError, DependencyUnavailable
from schemas.limits import MAX_BATCH_EVENTS

_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class DiskUnavailable(DependencyUnavailable):
    """The disk cannot be read or written. The journal holds the acknowledged lines that it could write."""

    dependency = "disk"


class OnError(StrEnum):
    """What to do with a line on which ingest fails while it accepts other lines."""

    SKIP = "skip"
    STOP = "stop"


def send(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="One JSON event per line. May be gzipped or a pipe; `-` is standard input."
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
            help="Name of the input. Ids of lines without an event_id are derived from it. Default: the path of FILE.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=MAX_BATCH_EVENTS, help="Maximum events per request.")] = 1000,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Number of simultaneous requests.")] = 4,
    give_up_after: Annotated[
        float, typer.Option(min=0, help="Give up with exit code 3 after this many seconds without success.")
    ] = 60.0,
    on_error: Annotated[
        OnError,
        typer.Option(
            help="If ingest fails on a line but accepts others: write the line to the rejected events, or stop."
        ),
    ] = OnError.SKIP,
    attempts: Annotated[int, typer.Option(min=1, max=100, help="Attempts with such a line alone.")] = 3,
    rejected: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="File for rejected events. Default: FILE.rejected.ndjson, for a pipe stdin.rejected.ndjson.",
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Ignore FILE.progress and send the whole file again.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Send the events of FILE to ingest. After an interruption the same command resumes; no event counts twice.

    A line without an event_id gets one derived from the name of the input, the content of the line, and the number of
    identical lines before it. A file sent twice counts once; the same line in another file counts again. Set event_id
    in the file if the file may be moved, split, filtered or rewritten under the same name.

    Rejected events are written to FILE.rejected.ndjson, and the exit code is 1. The exit code is 3 when ingest does not
    answer or refuses the key. A pipe cannot be resumed: send all of it again with the same --input.
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
        sent = asyncio.run(run_unless_interrupted(work))
    except IngestUnavailable:
        say(journal.resume_advice)
        raise
    except OSError as error:
        raise _file_error(error, file) from error
    if sent is None:
        say(f"interrupted; {journal.resume_advice}")
        raise typer.Exit(INTERRUPTED)
    _print_totals(sent, as_json)
    if sent.rejected:
        say(f"{journal.rejected_file} has the rejected events and the reasons")
        raise typer.Exit(1)


def _journal(file: Path, name: str | None, rejected: Path | None, *, restart: bool) -> Journal:
    """Return the journal of the input. Raises ConfigurationError for options that do not fit it."""
    if name == "":
        raise ConfigurationError("--input is empty; give the input a name")
    if not is_stream(file):
        if rejected is not None and rejected.resolve() == file.resolve():
            raise ConfigurationError(f"--rejected {rejected} is the input file; give another file")
        return FileJournal(file, restart=restart, name=name, rejected=rejected)
    if restart:
        raise ConfigurationError("--restart does not apply to a pipe, which is always sent from its start")
    return StreamJournal(name=name or default_input_name(file), rejected=rejected)


def _file_error(error: OSError, file: Path) -> ConfigurationError | DiskUnavailable:
    path, reason = error.filename or file, error.strerror or str(error)
    if error.errno in _DISK_ERRORS:
        return DiskUnavailable(reason, f"at {path}; free space, then run the same command again to resume")
    return ConfigurationError(f"{path}: {reason}")


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
            ingest = IngestClient(client, policy, on_delay=lambda reason: say(f"{reason}; retrying"))
            sender = InputSender(
                file,
                ingest,
                journal,
                clock=time.monotonic,
                skip_poison=skip_poison,
                on_progress=on_progress,
                on_garbage=lambda: say(f"{file}: the data after the compressed lines is not gzip and is ignored"),
            )
            return await sender.send(batch_size=batch_size, concurrency=concurrency)


def _size(file: Path) -> int | None:
    return None if is_stream(file) else file.stat().st_size


def _rate(sent: Sent) -> float:
    return sent.read / sent.seconds if sent.seconds else 0.0


def _print_totals(sent: Sent, as_json: bool) -> None:
    counts = {"read": sent.read, "accepted": sent.accepted, "rejected": sent.rejected}
    if as_json:
        speed = {"seconds": round(sent.seconds, 3), "events_per_second": round(_rate(sent), 1)}
        show_json({**counts, **speed}, indent=None)
        return
    columns = [Column(name, is_number=True) for name in (*counts, "seconds", "events/s")]
    cells = [*(f"{count:,}" for count in counts.values()), f"{sent.seconds:.1f}", f"{_rate(sent):,.0f}"]
    show_table(columns, [Row(cells)])
