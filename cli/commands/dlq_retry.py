"""Takes the letters that were chosen through `processors/redrive.py`, page by page."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cli.database import connect as connect_storage
from cli.output import counting_bar
from processors.decode import StorableRange
from processors.redrive import Hopeless, prepare, redrive
from runtime.settings import Settings
from storage.dead_letters import Selection, count_letters, read_letters
from stream.connection import connect as connect_stream
from stream.producer import Producer

_PAGE: Final = 500


@dataclass
class Outcome:
    """What became of the letters."""

    selected: int = 0
    possible: int = 0
    """Those that decode; they were appended unless it was a dry run."""
    hopeless: list[Hopeless] = field(default_factory=list)


async def retry_letters(settings: Settings, selection: Selection, now: datetime, *, dry_run: bool) -> Outcome:
    """Retry as many letters as there are at the start, with progress on stderr.

    Interrupted, it has marked what it appended but for the last page; nothing counts twice when that is done again.
    Raises StreamUnavailable and StorageUnavailable.
    """
    storable = StorableRange.around(now, settings.raw_retention)
    outcome = Outcome()
    last = None
    async with AsyncExitStack() as stack:
        redis = connect_stream(settings)
        stack.push_async_callback(redis.aclose)
        connection = await connect_storage(settings.database_dsn, application_name="analytics-dlq")
        stack.push_async_callback(connection.close)
        producer = Producer(redis, settings.stream_partitions)
        bar = stack.enter_context(counting_bar())
        # What is parked meanwhile, perhaps one of these again, is for the next time.
        left = await count_letters(connection, selection)
        task = bar.add_task("dead letters", total=left)
        while letters := await read_letters(connection, selection, min(left, _PAGE), last):
            last = letters[-1]
            left -= len(letters)
            plan = await prepare(redis, letters, storable)
            if plan.events and not dry_run:
                await redrive(producer, connection, plan.events)
            outcome.selected += len(letters)
            outcome.possible += len(plan.events)
            outcome.hopeless += plan.hopeless
            bar.advance(task, len(letters))
    return outcome
