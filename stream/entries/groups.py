"""Consumer groups: created before they are needed, listed, and freed of consumers that are gone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from stream.keys import stream_key
from stream.server.failures import is_existing_group, is_missing_key, translated_errors

_REMOVE_IDLE: Final = (Path(__file__).parent / "remove_idle_consumers.lua").read_text(encoding="utf-8")


async def ensure_group(redis: Redis, partition: int, group: str) -> bool:
    """Create the group and the stream unless they exist; return whether it was created. Raises StreamUnavailable.

    The group starts at the first entry, so that it also gets entries that were appended before it existed.
    """
    key = stream_key(partition)
    with translated_errors():
        # out of memory, Redis refuses to create even a group that exists, and workers must still drain the stream
        if await has_group(redis, partition, group):
            return False
        try:
            await redis.xgroup_create(key, group, id="0", mkstream=True)
        except ResponseError as error:
            if is_existing_group(error):
                return False
            raise
    return True


async def has_group(redis: Redis, partition: int, group: str) -> bool:
    """Return whether the group exists. Raises StreamUnavailable."""
    with translated_errors():
        return any(facts["name"] == group.encode() for facts in await read_groups(redis, stream_key(partition)))


async def read_groups(redis: Redis, key: str) -> list[dict[str, Any]]:
    """Return the XINFO GROUPS reply for a stream; an empty list if there is no stream.

    Names are bytes: groups of other systems need not have names in UTF-8. Raises the errors of the client.
    """
    try:
        groups: list[dict[str, Any]] = await redis.xinfo_groups(key)
    except ResponseError as error:
        if is_missing_key(error):
            return []
        raise
    return groups


async def read_facts(redis: Redis, key: str) -> dict[str, Any]:
    """Return the XINFO STREAM reply for a stream; an empty one without a stream. Raises the errors of the client."""
    try:
        facts: dict[str, Any] = await redis.xinfo_stream(key)
    except ResponseError as error:
        if is_missing_key(error):
            return {}
        raise
    return facts


async def remove_idle_consumers(redis: Redis, partition: int, group: str, idle: timedelta) -> int:
    """Remove consumers that have been idle for `idle` and hold no entries; return how many.

    Raises StreamUnavailable, or its subclass GroupMissing.
    """
    script = redis.register_script(_REMOVE_IDLE)
    with translated_errors():
        removed: int = await script(keys=[stream_key(partition)], args=[group, idle // timedelta(milliseconds=1)])
    return removed
