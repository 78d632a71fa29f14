"""Health checks of Redis: reachability, persistence and memory."""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from runtime.errors import StreamUnavailable
from stream.server.failures import translated_errors


async def ping(redis: Redis) -> str:
    """Return the state of Redis in words. Raises StreamUnavailable."""
    with translated_errors():
        await redis.ping()
    return "answers"


async def append_only_file(redis: Redis) -> str:
    """Return "on". Raises StreamUnavailable without an append-only file: a restart would then lose every event."""
    with translated_errors():
        facts = await redis.info("persistence")
    if not facts["aof_enabled"]:
        raise StreamUnavailable("not_durable", "there is no append-only file; set appendonly to yes")
    return "on"


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of Redis, in bytes."""

    used: int
    limit: int
    """0: no limit."""


async def memory(redis: Redis) -> Memory:
    """Return the memory that Redis uses, and its limit. Raises StreamUnavailable."""
    with translated_errors():
        facts = await redis.info("memory")
    return Memory(int(facts["used_memory"]), int(facts["maxmemory"]))
