"""`analytics demo`: synthetic traffic, for a first look, for tests and for measurements."""

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

from cli.demo.history import History, history_sent, keep_history
from cli.demo.traffic import Event, demo_learners, live_events
from cli.interrupt import unless_interrupted
from cli.local.dev_file import DATA_DIR, DataDir
from cli.output import say, show
from cli.sending.delivery import Courier, RetryPolicy
from cli.sending.parallel import each_of, in_parallel
from cli.target import Key, Target, Url, find_target
from runtime.clock import utc_now
from runtime.errors import ConfigurationError

LIVE_RATE = 20.0
BATCH_SIZE = 1000
CONCURRENCY = 4
_TICK_SECONDS = 0.25
_EVENTS_PER_LEARNER_DAY = 12
_MOST_HISTORY = 30_000
"""Events that are sent in a few seconds."""

_LONGEST_HISTORY_DAYS = 80
"""Within the usual retention of raw events, beyond which ingest refuses them."""


def demo(
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = DATA_DIR,
    users: Annotated[int, typer.Option(min=1, max=1_000_000, help="Learners: demo-user-1 and so on.")] = 50,
    seed: Annotated[int, typer.Option(help="The same seed invents the same learners.")] = 1,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help=f"Events a second. Not given: {LIVE_RATE:g} live, else no limit.")
    ] = None,
    events: Annotated[int | None, typer.Option(min=1, help="Send so many events of the history, then end.")] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Send a history, then go on until stopped; the default.")
    ] = False,
    history_days: Annotated[float, typer.Option(min=0, max=_LONGEST_HISTORY_DAYS, help="How far back it goes.")] = 28,
    out: Annotated[
        Path | None, typer.Option(help="Write the events to this file instead; gzipped if named .gz.")
    ] = None,
) -> None:
    """Send traffic of invented learners; some of it comes twice, late or out of order.

    SIGTERM and Ctrl-C end it with exit code 0.
    """
    if live and (events is not None or out is not None):
        raise typer.BadParameter("--live goes with neither --events nor --out")
    history = History(seed, users, events or _usual_count(users, history_days), utc_now(), history_days)
    if out is not None:
        _write(out, history.events())
        return
    target = find_target(url, key, data_dir)
    if events is None:
        # only of the system in the data directory is it known what was sent to it before
        kept = data_dir if url is None else None
        asyncio.run(unless_interrupted(_send_live(target, history, rate or LIVE_RATE, kept)))
    else:
        _end(asyncio.run(unless_interrupted(_send_history(target, history.events(), rate))))


def _usual_count(users: int, history_days: float) -> int:
    return min(max(1, round(users * history_days * _EVENTS_PER_LEARNER_DAY)), _MOST_HISTORY)


def _write(out: Path, events: Iterable[Event]) -> None:
    count = 0
    try:
        with _open(out) as stream:
            for event in events:
                stream.write(_encoded(event) + b"\n")
                count += 1
    except OSError as error:
        raise ConfigurationError(f"--out {out}: {error.strerror or error}") from error
    say(f"{count:,} events are in {out}")


def _open(out: Path) -> gzip.GzipFile | BufferedWriter:
    # no time in the header: the same events make the same file
    return gzip.GzipFile(out, "wb", compresslevel=6, mtime=0) if out.suffix == ".gz" else out.open("wb")


async def _send_history(target: Target, events: Iterator[Event], rate: float | None) -> Tally:
    async with target.open(CONCURRENCY) as client:
        tally = Tally(Courier(client, on_delay=_say_delay))
        await (_send_fast(tally, events) if rate is None else _send_paced(tally, events, rate))
        return tally


async def _send_live(target: Target, wanted: History, rate: float, data_dir: Path | None) -> None:
    history, sent = keep_history(data_dir, wanted) if data_dir else (wanted, False)
    learners = demo_learners(history.seed, history.users)
    past = history.events(learners)
    async with target.open(CONCURRENCY) as client:
        tally = Tally(Courier(client, RetryPolicy(give_up_after=None), on_delay=_say_delay))
        if sent:
            # read all the same: it brings the learners to where they are
            deque(past, maxlen=0)
        else:
            await _send_fast(tally, past)
            if data_dir:
                history_sent(data_dir, history)
            say(f"{tally.accepted:,} events of the last {history.history_days:g} days are sent")
        say(f"now {rate:g} events a second")
        await _send_paced(tally, live_events(history.seed, history.users, utc_now, learners), rate)


class Tally:
    """Delivers, counts verdicts, and says each kind of rejection once."""

    def __init__(self, courier: Courier) -> None:
        self.accepted = 0
        self.rejected: Counter[str | None] = Counter()
        self._courier = courier

    async def deliver(self, events: Sequence[Event]) -> None:
        """Send events until each is accepted or rejected. Raises IngestUnavailable."""
        for verdict in await self._courier.deliver([_encoded(event) for event in events]):
            if verdict.status == "accepted":
                self.accepted += 1
                continue
            self.rejected[verdict.code] += 1
            if self.rejected[verdict.code] == 1:
                say(f"rejected: {verdict.code} at {verdict.pointer}: {verdict.detail}")


async def _send_fast(tally: Tally, events: Iterator[Event]) -> None:
    batches = iter(lambda: list(islice(events, BATCH_SIZE)), [])
    await in_parallel(each_of(batches), tally.deliver, CONCURRENCY)


async def _send_paced(tally: Tally, events: Iterator[Event], rate: float) -> None:
    """Send so many events a second; after an outage go on at that pace, without a rush."""
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


def _end(tally: Tally | None) -> None:
    """Say what became of the events; None after a signal."""
    if tally is None:
        return
    rejected = tally.rejected.total()
    show(f"{tally.accepted:,} accepted, {rejected:,} rejected")
    if rejected:
        raise typer.Exit(1)


def _encoded(event: Event) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def _say_delay(reason: str) -> None:
    say(f"{reason}; trying again")
