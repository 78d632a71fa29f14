"""Records how far each erasure has searched the streams, so that a search is not repeated when its process ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from storage.database.failures import translated_errors
from storage.database.pool import Connection


class Sweep(NamedTuple):
    """The search of one stream for the entries of one erasure."""

    job_id: UUID
    partition: int
    searched_to: str
    """Id of the last entry that was searched."""
    waiting: Sequence[str]
    """Ids of entries that were found and that some group has not settled yet."""


_READ: Final = """
SELECT job_id, stream_partition, searched_to, waiting FROM erasure_sweeps WHERE stream_partition = $1
"""
_WRITE: Final = """
INSERT INTO erasure_sweeps AS t (job_id, stream_partition, searched_to, waiting) VALUES ($1, $2, $3, $4)
ON CONFLICT (job_id, stream_partition) DO UPDATE SET searched_to = EXCLUDED.searched_to, waiting = EXCLUDED.waiting
"""


async def read_sweeps(pool: asyncpg.Pool, partition: int) -> dict[UUID, Sweep]:
    """Return the state of each search of a stream, by job. A search that has not begun is missing.

    Raises StorageUnavailable.
    """
    with translated_errors():
        return {row["job_id"]: Sweep(*row) for row in await pool.fetch(_READ, partition)}


async def record_sweeps(connection: Connection, sweeps: Sequence[Sweep]) -> None:
    """Store the state of searches. Raises errors of asyncpg."""
    await connection.executemany(_WRITE, sweeps)


async def forget_sweeps(connection: Connection, job_id: UUID) -> None:
    """Remove the state of a finished erasure. Raises errors of asyncpg."""
    await connection.execute("DELETE FROM erasure_sweeps WHERE job_id = $1", job_id)
