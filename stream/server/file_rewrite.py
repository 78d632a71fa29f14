"""Makes Redis rewrite its files without removed data: the append-only file, and the snapshot if it makes any."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runtime.errors import StreamUnavailable
from stream.server.failures import is_rewrite_in_progress, translated_errors

_POLL_SECONDS: Final = 0.2


async def rewrite_files(redis: Redis) -> None:
    """Return once Redis has rewritten every file that it keeps, from a start after this call.

    Waits for rewrites in progress first. Does nothing on a server without files. Raises StreamUnavailable, also if a
    rewrite fails.
    """
    facts = await _facts(redis)
    if facts["aof_enabled"]:
        await _start(redis, "BGREWRITEAOF")
        await _ended(redis, "aof_last_bgrewrite_status")
    # the schedule of snapshots is not readable, but their number since the start is
    if facts.get("rdb_saves"):
        await _start(redis, "BGSAVE")
        await _ended(redis, "rdb_last_bgsave_status")


async def _start(redis: Redis, command: str) -> None:
    execute: Any = redis.execute_command
    while True:
        await _idle(redis)
        try:
            with translated_errors():
                await execute(command)
        except ResponseError as error:
            if not is_rewrite_in_progress(error):
                raise StreamUnavailable("cannot_persist", command) from error
            continue
        return


async def _ended(redis: Redis, status: str) -> None:
    facts = await _idle(redis)
    if facts[status] != "ok":
        raise StreamUnavailable("cannot_persist", status)


async def _idle(redis: Redis) -> dict[str, Any]:
    """Return the persistence section of INFO once no rewrite is in progress or scheduled."""
    under_way = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
    while True:
        facts = await _facts(redis)
        if not any(facts.get(name) for name in under_way):
            return facts
        await asyncio.sleep(_POLL_SECONDS)


async def _facts(redis: Redis) -> dict[str, Any]:
    with translated_errors():
        facts: dict[str, Any] = await redis.info("persistence")
    return facts
