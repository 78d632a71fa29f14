"""`analytics replay`: stores events of the stream again after a database was restored from a backup."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from cli.audited import audited
from cli.database import require_current_schema
from cli.local.dev_file import DATA_DIR, DataDir, resolve_settings
from cli.output import counting_bar, say, show, show_json
from cli.time_options import parse_time
from processors.repair.replay import Span
from processors.repair.replay import replay as replay_span
from runtime.clock import utc_now
from runtime.errors import ConfigurationError
from runtime.lifecycle import stop_on_signals
from runtime.settings import Settings
from storage.batches.batch import BatchCounts
from storage.batches.writer import BatchWriter
from storage.database.pool import Pool, open_pool
from storage.losses import last_position, lost_before
from storage.retention.horizon import read_horizon
from stream.entries.continuity import Position, find_gap
from stream.entries.entry import EntryId, time_of
from stream.entries.history import read_history, trimmed_through
from stream.server.connection import Redis, connect
from telemetry import logging

BATCH_SIZE = 1_000
_WRITER_SLOT = 0
_NOTHING = BatchCounts(0, 0, 0, 0, 0)

Start = Annotated[
    str, typer.Option("--from", help="Start: 90m, 7d, or a time (UTC). Use the time of the backup or an earlier one.")
]
End = Annotated[str | None, typer.Option("--to", help="End: an age or a time. Default: now.")]
Partition = Annotated[int | None, typer.Option(min=0, help="Only this partition of the stream. Default: all.")]


@dataclass
class Outcome:
    """The counts of a replay."""

    entries: int = 0
    counts: BatchCounts = _NOTHING
    gaps: dict[int, datetime] = field(default_factory=dict)
    """Partitions that lack entries of the span, and the time up to which entries may be missing."""
    interrupted: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the JSON document of the command."""
        gaps = [{"partition": number, "trimmed_through": at.isoformat()} for number, at in self.gaps.items()]
        return {"entries": self.entries, **self.counts._asdict(), "gaps": gaps, "interrupted": self.interrupted}


def replay(
    start: Start,
    end: End = None,
    partition: Partition = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing; count the entries.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Store the events of a time span again from the stream. Events that the database has already change nothing.

    Exit code 1 when the replay was interrupted, or when the stream lacks entries since --from. Exit code 2 when
    raw events of the span were removed: they cannot be told from events that were never stored.
    """
    settings = resolve_settings(data_dir)
    logging.configure(settings)
    now = utc_now()
    since, until = parse_time("--from", start, now), now if end is None else parse_time("--to", end, now)
    if since >= until:
        raise ConfigurationError("--from must be before --to, which is now unless it is given")
    if partition is not None and partition >= settings.stream_partitions:
        raise ConfigurationError(
            f"--partition is {partition}; the stream has partitions 0 to {settings.stream_partitions - 1}"
        )
    partitions = range(settings.stream_partitions) if partition is None else [partition]
    spans = [Span(number, since, until, BATCH_SIZE) for number in partitions]
    outcome = asyncio.run(_replay_audited(settings, spans, now, dry_run=dry_run))
    _print_outcome(outcome, as_json=as_json, dry_run=dry_run)
    if outcome.gaps or outcome.interrupted:
        raise typer.Exit(1)


async def _replay_audited(settings: Settings, spans: list[Span], now: datetime, *, dry_run: bool) -> Outcome:
    async with audited(settings, "replay --dry-run" if dry_run else "replay"):
        return await _replay(settings, spans, now, dry_run=dry_run)


async def _replay(settings: Settings, spans: list[Span], now: datetime, *, dry_run: bool) -> Outcome:
    outcome = Outcome()
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        redis = connect(settings)
        stack.push_async_callback(redis.aclose)
        pool = await open_pool(settings.database_dsn, size=1, application_name="analytics-replay")
        stack.push_async_callback(pool.close)
        async with pool.acquire() as connection:
            await require_current_schema(connection)
            require_after_horizon(spans, await read_horizon(connection), now - settings.raw_retention)
        writer = BatchWriter(pool, _WRITER_SLOT)
        bar = stack.enter_context(counting_bar())
        for span in spans:
            gone = await _gone_through(redis, pool, span.partition)
            if gone is not None and gone > span.start:
                outcome.gaps[span.partition] = gone
            total = await _count(redis, span)
            if dry_run:
                outcome.entries += total
                continue
            task = bar.add_task(f"partition {span.partition}", total=total)
            async for counts in replay_span(redis, writer, span, now, settings.raw_retention, stop):
                outcome.counts = BatchCounts(*map(sum, zip(outcome.counts, counts, strict=True)))
                outcome.entries += sum(counts)
                bar.advance(task, sum(counts))
        outcome.interrupted = stop.is_set()
    return outcome


def require_after_horizon(spans: list[Span], removed_before: datetime, expired_before: datetime) -> None:
    """Raise ConfigurationError when a span starts before the retention horizon, where raw events are removed."""
    horizon = max(removed_before, expired_before)
    # the suggested --from has minutes as its smallest unit
    earliest = horizon.replace(second=0, microsecond=0) + timedelta(minutes=1)
    if all(span.start >= horizon for span in spans):
        return
    why = (
        "raw events of that time were removed (ANALYTICS_RAW_RETENTION_DAYS), so replayed events could count twice"
        if removed_before >= expired_before
        else "events of that time are older than ANALYTICS_RAW_RETENTION_DAYS and would expire again"
    )
    raise ConfigurationError(
        f"--from is before {horizon:%Y-%m-%d %H:%M:%S} UTC: {why}; give --from {earliest:%Y-%m-%dT%H:%M} or later"
    )


async def _gone_through(redis: Redis, pool: Pool, partition: int) -> datetime | None:
    """Return a time before which every entry that was trimmed or lost was appended; None if none was."""
    known = await last_position(pool, partition)
    # maintenance may not have noticed the loss yet, or is stopped for a restore
    gap = await find_gap(redis, partition, Position(*known)) if known else None
    lost = [entry_id for entry_id in (gap.before if gap else None, await lost_before(pool, partition)) if entry_id]
    times = [time_of(EntryId.parse(entry_id)) for entry_id in lost]
    trimmed = await trimmed_through(redis, partition)
    return max([*times, trimmed] if trimmed else times, default=None)


async def _count(redis: Redis, span: Span) -> int:
    pages = read_history(redis, span.partition, span.start, span.end, 10 * span.batch_size)
    return sum([len(page) async for page in pages])


def _print_outcome(outcome: Outcome, *, as_json: bool, dry_run: bool) -> None:
    for number, at in outcome.gaps.items():
        when = f"{at:%Y-%m-%d %H:%M:%S} UTC"
        say(f"partition {number} was trimmed, or has lost entries: those appended before {when} may be missing")
    if outcome.interrupted:
        say("interrupted; run the same command again: it starts over, and no event counts twice")
    if as_json:
        show_json(outcome.as_json() | {"dry_run": dry_run})
    elif dry_run:
        show(f"{outcome.entries:,} entries would be stored again")
    else:
        counts = [f"{count:,} {name}" for name, count in outcome.counts._asdict().items()]
        show(", ".join([f"{outcome.entries:,} entries", *counts]))
