"""Whether Redis answers, keeps what it is given, and has room."""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from runtime.errors import StreamUnavailable
from stream.server.failures import translated_errors


async def ping(redis: Redis) -> str:
    """Return what Redis is. Raises StreamUnavailable."""
    with translated_errors():
        await redis.ping()
    return "answers"


async def append_only_file(redis: Redis) -> str:
    """Return that there is one. Raises StreamUnavailable when there is none: a restart would lose every event."""
    with translated_errors():
        facts = await redis.info("persistence")
    if not facts["aof_enabled"]:
        raise StreamUnavailable("not_durable", "there is no append-only file; set appendonly to yes")
    return "on"


@dataclass(frozen=True, slots=True)
class Memory:
    """Of Redis, in bytes."""

    used: int
    limit: int
    """0 when there is none."""


async def memory(redis: Redis) -> Memory:
    """Return what Redis uses and may use. Raises StreamUnavailable."""
    with translated_errors():
        facts = await redis.info("memory")
    return Memory(int(facts["used_memory"]), int(facts["maxmemory"]))
