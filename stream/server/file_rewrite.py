"""Has Redis write its files anew, without what was removed: the append-only file, and the snapshot if it makes any."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runtime.errors import StreamUnavailable
from stream.server.failures import is_rewrite_in_progress, translated_errors

_POLL_SECONDS: Final = 0.2


async def rewrite_files(redis: Redis) -> None:
    """Return once every file that Redis keeps was begun after the call, and is whole.

    A server that keeps none has nothing to do. Waits for a rewrite that is under way, and for its own. Raises
    StreamUnavailable, also when Redis could not do it.
    """
    facts = await _facts(redis)
    if facts["aof_enabled"]:
        await _ask(redis, "BGREWRITEAOF")
        await _ended(redis, "aof_last_bgrewrite_status")
    # snapshots are its own business: whether there are any shows in what it did since it started
    if facts.get("rdb_saves"):
        await _ask(redis, "BGSAVE")
        await _ended(redis, "rdb_last_bgsave_status")


async def _ask(redis: Redis, command: str) -> None:
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
    """Return what Redis says once no file is being written or will be."""
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
