"""Retries selected dead letters page by page, through `processors/repair/redrive.py`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cli.database import open_database
from cli.output import counting_bar
from processors.repair.redrive import StillInvalid, prepare, redrive
from processors.store.decode import StorableRange
from runtime.settings import Settings
from storage.dead_letters import Selection, count_letters, read_letters
from stream.entries.producer import Producer
from stream.server.connection import connect as connect_stream

_PAGE: Final = 500


@dataclass
class Outcome:
    """The counts of a retry."""

    selected: int = 0
    possible: int = 0
    """Dead letters that can be decoded. They were appended unless it was a dry run."""
    hopeless: list[StillInvalid] = field(default_factory=list)


async def retry_letters(settings: Settings, selection: Selection, now: datetime, *, dry_run: bool) -> Outcome:
    """Retry the dead letters that match at the start, with a progress bar on standard error.

    An interrupted retry has appended at most one page that is not marked as retried. Appending that page again counts
    no event twice. Raises StreamUnavailable and StorageUnavailable.
    """
    storable = StorableRange.around(now, settings.raw_retention)
    outcome = Outcome()
    last = None
    async with AsyncExitStack() as stack:
        redis = connect_stream(settings)
        stack.push_async_callback(redis.aclose)
        connection = await stack.enter_async_context(open_database(settings, "analytics-dlq"))
        producer = Producer(redis, settings.stream_partitions)
        bar = stack.enter_context(counting_bar())
        # dead letters that are parked during the retry, perhaps by it, are left for the next retry
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
            outcome.hopeless += plan.still_invalid
            bar.advance(task, len(letters))
    return outcome
