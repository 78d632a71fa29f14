"""`analytics demo`: sends synthetic traffic, for evaluation, tests and measurements."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from io import BufferedWriter
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from cli.demo.history import History, record_history_sent, resolve_history
from cli.demo.traffic import Event, demo_learners, live_events
from cli.interrupt import run_unless_interrupted
from cli.local.dev_file import DATA_DIR, DataDir
from cli.output import say, show
from cli.sending.delivery import IngestClient, RetryPolicy
from cli.sending.parallel import iterate, process_in_parallel
from cli.target import Key, Target, Url, find_target
from runtime.clock import utc_now
from runtime.errors import ConfigurationError

LIVE_RATE = 20.0
BATCH_SIZE = 1000
CONCURRENCY = 4
_TICK_SECONDS = 0.25
_EVENTS_PER_LEARNER_DAY = 12
_MAX_HISTORY_EVENTS = 30_000
"""Events that can be sent within seconds."""

_MAX_HISTORY_DAYS = 80
"""Below the default retention of raw events, because ingest rejects older events."""


def demo(
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DATA_DIR,
    users: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Number of learners: demo-user-1, demo-user-2, ...")
    ] = 50,
    seed: Annotated[int, typer.Option(help="The same seed creates the same learners.")] = 1,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help=f"Events per second. Default: {LIVE_RATE:g} live, otherwise no limit.")
    ] = None,
    events: Annotated[int | None, typer.Option(min=1, help="Send this many events of the history, then exit.")] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Send a history, then live events until stopped. This is the default.")
    ] = False,
    history_days: Annotated[
        float, typer.Option(min=0, max=_MAX_HISTORY_DAYS, help="Length of the history in days.")
    ] = 28,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the events to this file instead of sending them; gzipped if its name ends in .gz."),
    ] = None,
) -> None:
    """Send traffic of synthetic learners. Some events are sent twice, late or out of order.

    SIGTERM and Ctrl-C stop the command with exit code 0.
    """
    if live and (events is not None or out is not None):
        raise typer.BadParameter("--live cannot be combined with --events or --out")
    history = History(seed, users, events or _default_count(users, history_days), utc_now(), history_days)
    if out is not None:
        _write(out, history.events())
        return
    target = find_target(url, key, data_dir)
    if events is None:
        # only the system in the data directory has a record of the history it was sent
        record_dir = data_dir if url is None else None
        asyncio.run(run_unless_interrupted(_send_live(target, history, rate or LIVE_RATE, record_dir)))
    else:
        _print_totals(asyncio.run(run_unless_interrupted(_send_history(target, history.events(), rate))))


def _default_count(users: int, history_days: float) -> int:
    return min(max(1, round(users * history_days * _EVENTS_PER_LEARNER_DAY)), _MAX_HISTORY_EVENTS)


def _write(out: Path, events: Iterable[Event]) -> None:
    count = 0
    try:
        with _open(out) as stream:
            for event in events:
                stream.write(_encoded(event) + b"\n")
                count += 1
    except OSError as error:
        raise ConfigurationError(f"--out {out}: {error.strerror or error}") from error
    say(f"wrote {count:,} events to {out}")


def _open(out: Path) -> gzip.GzipFile | BufferedWriter:
    # no timestamp in the gzip header: the same events make the same file
    return gzip.GzipFile(out, "wb", compresslevel=6, mtime=0) if out.suffix == ".gz" else out.open("wb")


async def _send_history(target: Target, events: Iterator[Event], rate: float | None) -> Tally:
    async with target.open(CONCURRENCY) as client:
        tally = Tally(IngestClient(client, on_delay=_say_delay))
        await (_send_fast(tally, events) if rate is None else _send_paced(tally, events, rate))
        return tally


async def _send_live(target: Target, requested: History, rate: float, data_dir: Path | None) -> None:
    history, sent = resolve_history(data_dir, requested) if data_dir else (requested, False)
    learners = demo_learners(history.seed, history.users)
    past = history.events(learners)
    async with target.open(CONCURRENCY) as client:
        tally = Tally(IngestClient(client, RetryPolicy(give_up_after=None), on_delay=_say_delay))
        if sent:
            # consumed nevertheless: it advances the learners to their current state
            deque(past, maxlen=0)
        else:
            await _send_fast(tally, past)
            if data_dir:
                record_history_sent(data_dir, history)
            say(f"sent {tally.accepted:,} events of the last {history.history_days:g} days")
        say(f"sending {rate:g} events per second")
        await _send_paced(tally, live_events(history.seed, history.users, utc_now, learners), rate)


class Tally:
    """Delivers events, counts the verdicts, and reports each kind of rejection once."""

    def __init__(self, ingest: IngestClient) -> None:
        self.accepted = 0
        self.rejected: Counter[str | None] = Counter()
        self._ingest = ingest

    async def deliver(self, events: Sequence[Event]) -> None:
        """Send events until each is accepted or rejected. Raises IngestUnavailable."""
        for verdict in await self._ingest.deliver([_encoded(event) for event in events]):
            if verdict.status == "accepted":
                self.accepted += 1
                continue
            self.rejected[verdict.code] += 1
            if self.rejected[verdict.code] == 1:
                say(f"rejected: {verdict.code} at {verdict.pointer}: {verdict.detail}")


async def _send_fast(tally: Tally, events: Iterator[Event]) -> None:
    batches = iter(lambda: list(islice(events, BATCH_SIZE)), [])
    await process_in_parallel(iterate(batches), tally.deliver, CONCURRENCY)


async def _send_paced(tally: Tally, events: Iterator[Event], rate: float) -> None:
    """Send `rate` events per second. After an outage continue at that rate, without catching up."""
    owed = 1.0
    while True:
        whole = min(int(owed), BATCH_SIZE)
        batch = list(islice(events, whole))
        if len(batch) < whole:
            await tally.deliver(batch) if batch else None
            return
        if batch:
            await tally.deliver(batch)
        owed += rate * _TICK_SECONDS - whole
        await asyncio.sleep(_TICK_SECONDS)


def _print_totals(tally: Tally | None) -> None:
    """Print the totals, nothing after a signal. Raises typer.Exit when events were rejected."""
    if tally is None:
        return
    rejected = tally.rejected.total()
    show(f"{tally.accepted:,} accepted, {rejected:,} rejected")
    if rejected:
        raise typer.Exit(1)


def _encoded(event: Event) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def _say_delay(reason: str) -> None:
    say(f"{reason}; retrying")
