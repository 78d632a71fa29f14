"""Whether Redis answers."""

from __future__ import annotations

from redis.asyncio import Redis

from stream.failures import translated_errors


async def ping(redis: Redis) -> str:
    """Return what Redis is. Raises StreamUnavailable."""
    with translated_errors():
        await redis.ping()
    return "answers"


async def memory_used(redis: Redis) -> int:
    """Return the bytes Redis uses. Raises StreamUnavailable."""
    with translated_errors():
        facts = await redis.info("memory")
    return int(facts["used_memory"])
