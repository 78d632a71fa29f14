"""Purges the bytes that erasures leave in the files of Redis and Postgres, and in the streams."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Final

from storage.database.pool import Pool
from storage.privacy import residue
from stream.connection import Redis
from stream.file_rewrite import rewrite_files

_POLL_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 5.0


async def purge_redis(redis: Redis, pool: Pool, every: timedelta, stream_retention: timedelta) -> bool:
    """Have Redis write its files anew, if something was removed and the last time is `every` ago; return whether.

    Raises DependencyUnavailable.
    """
    # the last neighbour of a removed entry may have come much later, and stays as long again
    await residue.forget_stream(pool, 2 * stream_retention)
    if not await residue.begin_purge(pool, residue.REDIS, every):
        return False
    await rewrite_files(redis)
    await residue.end_purge(pool, residue.REDIS)
    return True


async def purge_postgres(pool: Pool, every: timedelta) -> bool:
    """Take the purge of Postgres' files a step further, or begin one that is due; return whether one was finished.

    Tables first, each locked while it is written anew; then the log. Raises StorageUnavailable.
    """
    await residue.begin_purge(pool, residue.LOG, every)
    tables = await residue.tables_to_purge(pool)
    if tables and not await _nobody_sees_what_is_gone(pool):
        return False
    for table in tables:
        await residue.purge_table(pool, table)
    await residue.close_log(pool)
    if not await residue.log_is_clean(pool):
        return False
    await residue.end_purge(pool, residue.LOG)
    return True


async def _nobody_sees_what_is_gone(pool: Pool) -> bool:
    """Wait a little for the transactions that run now; return whether all have ended."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    older = await residue.older_transactions(pool)
    while older and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        older = await residue.older_transactions(pool, older)
    return not older
