"""Health checks of Redis: role, persistence and memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from runtime.errors import StreamUnavailable
from stream.server.failures import translated_errors


async def primary(redis: Redis) -> str:
    """Return "is a primary". Raises StreamUnavailable, also for a replica.

    Connections to a replica are closed: the next call reaches the server that has taken over the address.
    """
    with translated_errors():
        facts = await redis.info("replication")
        if not is_primary(facts):
            # the other connections may lead to the same server
            await redis.connection_pool.disconnect()
            raise replica_error()
    return "is a primary"


def is_primary(replication: Mapping[str, Any]) -> bool:
    """Return whether a server with this section of INFO accepts writes of its clients."""
    return bool(replication["role"] == "master")


def replica_error() -> StreamUnavailable:
    """Return the error for a server that is a replica."""
    return StreamUnavailable("read_only", "REDIS_URL leads to a replica")


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
