"""Purges the bytes that erasures leave in the files of Redis and Postgres."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Final

from storage.database.pool import Pool
from storage.privacy import residue
from stream.server.connection import Redis
from stream.server.file_rewrite import rewrite_files

_POLL_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 5.0


async def purge_redis(redis: Redis, pool: Pool, every: timedelta, stream_retention: timedelta) -> bool:
    """Rewrite the files of Redis if something was removed and the last rewrite is `every` ago; return whether it was.

    Raises DependencyUnavailable.
    """
    # the last neighbour of a removed entry may be up to one retention younger, and stays for one retention
    await residue.clear_stream_residue(pool, 2 * stream_retention)
    if not await residue.begin_purge(pool, residue.REDIS, every):
        return False
    await rewrite_files(redis)
    await residue.end_purge(pool, residue.REDIS)
    return True


async def purge_postgres(pool: Pool, every: timedelta) -> bool:
    """Advance the purge of Postgres' files, or begin one that is due; return whether one was finished.

    Tables come first, each locked while it is rewritten; then the log. Raises StorageUnavailable.
    """
    await residue.begin_purge(pool, residue.LOG, every)
    tables = await residue.tables_to_purge(pool)
    if tables and not await _older_transactions_end(pool):
        return False
    for table in tables:
        await residue.purge_table(pool, table)
    await residue.close_log(pool)
    if not await residue.log_is_clean(pool):
        return False
    await residue.end_purge(pool, residue.LOG)
    return True


async def _older_transactions_end(pool: Pool) -> bool:
    """Wait up to five seconds for the transactions that run now; return whether all have ended."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    older = await residue.older_transactions(pool)
    while older and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        older = await residue.older_transactions(pool, older)
    return not older
