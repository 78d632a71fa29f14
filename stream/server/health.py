"""Health checks of Redis: role, persistence and memory."""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from runtime.errors import StreamUnavailable
from stream.server.failures import translated_errors


async def primary(redis: Redis) -> str:
    """Return "is a primary". Raises StreamUnavailable, also for a replica.

    Connections to a replica are closed: the next call reaches the server that has taken over the address.
    """
    with translated_errors():
        facts = await redis.info("replication")
        if facts["role"] != "master":
            # the other connections may lead to the same server
            await redis.connection_pool.disconnect()
            raise StreamUnavailable("read_only", "REDIS_URL leads to a replica")
    return "is a primary"


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


@dataclass(frozen=True, slots=True)
class Safety:
    """Whether accepted events are safe in Redis."""

    is_safe: bool
    """A primary that evicts nothing, with an append-only file whose last write succeeded."""
    replicas: int
    """Number of connected replicas."""


async def safety(redis: Redis) -> Safety:
    """Return whether accepted events are safe. Raises StreamUnavailable."""
    with translated_errors():
        facts = await redis.info("memory", "persistence", "replication")
    is_safe = (
        facts["role"] == "master"
        and facts["maxmemory_policy"] == "noeviction"
        and bool(facts["aof_enabled"])
        and facts["aof_last_write_status"] == "ok"
    )
    return Safety(is_safe, int(facts["connected_slaves"]))
