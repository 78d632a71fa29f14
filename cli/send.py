"""`analytics send`: pushes a file of events through the front door."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.delivery import Courier, IngestUnavailable, RetryPolicy
from cli.dev_file import DATA_DIR, DataDir
from cli.interrupt import unless_interrupted
from cli.sending import FileSender, Journal
from cli.sending import Progress as Sent
from cli.target import Key, Target, Url, find_target
from runtime.errors import ConfigurationError
from schemas.limits import MAX_BATCH_EVENTS

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def send(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="One JSON event a line; may be gzipped.")
    ],
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DATA_DIR,
    batch_size: Annotated[int, typer.Option(min=1, max=MAX_BATCH_EVENTS, help="Most events a request.")] = 1000,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at once.")] = 4,
    give_up_after: Annotated[
        float, typer.Option(min=0, help="Seconds of nothing but failures before exit code 3.")
    ] = 60.0,
    restart: Annotated[bool, typer.Option("--restart", help="Send all again, whatever FILE.progress says.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Push events from FILE. Interrupted, the same command goes on where it was; nothing counts twice.

    Events that are not accepted are in FILE.rejected.ndjson, and the exit code is 1. It is 3 when ingest does not
    answer or refuses the key.
    """
    target = find_target(url, key, data_dir)
    policy = RetryPolicy(give_up_after=give_up_after)
    try:
        sent = asyncio.run(unless_interrupted(_send(file, target, policy, batch_size, concurrency, restart)))
    except IngestUnavailable:
        _say("what is acknowledged is noted: the same command goes on from there")
        raise
    except OSError as error:
        raise ConfigurationError(f"{error.filename or file}: {error.strerror or error}") from error
    if sent is None:
        _say("interrupted; the same command goes on from here")
        raise typer.Exit(INTERRUPTED)
    _report(sent, as_json)
    if sent.rejected:
        _say(f"the rejected events and why are in {Journal(file).rejected_file}")
        raise typer.Exit(1)


async def _send(
    file: Path, target: Target, policy: RetryPolicy, batch_size: int, concurrency: int, restart: bool
) -> Sent:
    with _bar(file) as (bar, task):

        def on_progress(sent: Sent, position: int) -> None:
            facts = f"{sent.accepted:,} accepted, {sent.rejected:,} rejected, {_rate(sent):,.0f}/s"
            bar.update(task, completed=position, facts=facts)

        def on_delay(reason: str, seconds: float) -> None:
            bar.console.print(f"analytics: {reason}; again in {seconds:.1f} s", markup=False, highlight=False)

        async with target.open(concurrency) as client:
            courier = Courier(client, policy, on_delay=on_delay)
            sender = FileSender(file, courier, clock=time.monotonic, on_progress=on_progress)
            return await sender.send(batch_size=batch_size, concurrency=concurrency, restart=restart)


@contextmanager
def _bar(file: Path) -> Iterator[tuple[Progress, TaskID]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield bar, bar.add_task(file.name, total=file.stat().st_size, facts="")


def _rate(sent: Sent) -> float:
    return sent.read / sent.seconds if sent.seconds else 0.0


def _report(sent: Sent, as_json: bool) -> None:
    counts = {"read": sent.read, "accepted": sent.accepted, "rejected": sent.rejected}
    if as_json:
        speed = {"seconds": round(sent.seconds, 3), "events_per_second": round(_rate(sent), 1)}
        typer.echo(json.dumps({**counts, **speed}))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in (*counts, "seconds", "events/s"):
        table.add_column(column, justify="right")
    table.add_row(*(f"{count:,}" for count in counts.values()), f"{sent.seconds:.1f}", f"{_rate(sent):,.0f}")
    Console().print(table)


def _say(text: str) -> None:
    typer.echo(f"analytics: {text}", err=True)
