"""Floor for a store worker: COPY into a staging table, insert the new rows, commit."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from threading import Barrier
from typing import Final

import asyncpg
import uvloop

from bench.backlog import typed
from schemas.entry import WireEvent

COLUMNS: Final = (*WireEvent._fields, "stream_partition", "entry_id")
"""Columns of a row, in the order of COPY."""

_COLUMN_LIST: Final = ", ".join(COLUMNS)
STAGE: Final = "CREATE TEMP TABLE stage (LIKE analytics_events INCLUDING DEFAULTS) ON COMMIT DELETE ROWS"
# in the order of the key: otherwise clients with the same event would deadlock
INSERT: Final = (
    f"INSERT INTO analytics_events ({_COLUMN_LIST}) SELECT {_COLUMN_LIST} FROM stage ORDER BY event_id, entry_id"
    " ON CONFLICT (event_id) DO NOTHING"
)

Row = tuple[object, ...]


def copy_alone(database_url: str, events: Sequence[WireEvent], clients: int, batch_size: int) -> float:
    """Return the events per second of `clients` processes that start together, each with one connection."""
    context = multiprocessing.get_context("spawn")
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(clients, mp_context=context) as pool,
    ):
        together = manager.Barrier(clients)
        rows = [(*typed(event), 0, f"1700000000000-{number}") for number, event in enumerate(events)]
        batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        work = [pool.submit(_client, database_url, batches[share::clients], together) for share in range(clients)]
        times = [each.result() for each in work]
    return len(events) / (max(ended for _, ended in times) - min(begun for begun, _ in times))


def _client(database_url: str, batches: Sequence[Sequence[Row]], together: Barrier) -> tuple[float, float]:
    """Return the time at which the first batch began and the last one was committed, on a clock shared by processes."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_copy(database_url, batches, together))


async def _copy(database_url: str, batches: Sequence[Sequence[Row]], together: Barrier) -> tuple[float, float]:
    connection = await asyncpg.connect(database_url)
    await connection.execute(STAGE)
    together.wait()
    begun = time.monotonic()
    for batch in batches:
        async with connection.transaction():
            await connection.copy_records_to_table("stage", records=batch, columns=COLUMNS)
            await connection.execute(INSERT)
    ended = time.monotonic()
    await connection.close()
    return begun, ended
