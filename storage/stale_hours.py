"""Hours of the summary whose active users changed, although no event of the hour was stored. They are counted again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from storage.database.failures import translated_errors
from storage.database.locks import SUMMARY_LOCK
from storage.database.pool import Connection

# one look-up for each of 720 hours: the hours of a learner have no index
_FORGET_LEARNERS: Final = """
DELETE FROM hourly_summary AS held WHERE EXISTS (
    SELECT FROM active_users_hourly AS active WHERE active.hour = held.hour AND active.user_hash = ANY ($1)
)
"""


async def keep_from_refreshing(connection: Connection) -> None:
    """Wait for the end of a refresh, and keep others from beginning until the end of the transaction.

    Call it before the batch lock is taken. Raises errors of asyncpg.
    """
    await connection.execute(f"SELECT pg_advisory_xact_lock({SUMMARY_LOCK})")


async def forget_learners(connection: Connection, user_hashes: Sequence[bytes]) -> None:
    """Have the hours in which these learners were active counted again. Call it before their rows are removed.

    The transaction must keep the summary from refreshing.
    """
    await connection.execute(_FORGET_LEARNERS, list(user_hashes))


async def forget_all(connection: Connection) -> None:
    """Have every hour counted again. The transaction must keep the summary from refreshing."""
    await connection.execute("DELETE FROM hourly_summary")


async def forget_expired(pool: asyncpg.Pool, cutoff: datetime) -> None:
    """Have the hours before `cutoff` counted again, whose active users were removed. Raises StorageUnavailable."""
    with translated_errors():
        await pool.execute("DELETE FROM hourly_summary WHERE hour < $1 AND active_users > 0", cutoff)
