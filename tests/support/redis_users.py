"""The Redis users of the processes, on the server of the test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis

from runtime.settings import Settings
from stream.server.permissions import RULES


@asynccontextmanager
async def redis_users(redis: Redis) -> AsyncIterator[Mapping[str, str]]:
    """Create the users of the rules for the block. Yields their passwords."""
    passwords = {user: secrets.token_hex(16) for user in RULES}
    acl: Any = redis.execute_command
    for user, rules in RULES.items():
        await acl("ACL", "SETUSER", user, "reset", "on", f">{passwords[user]}", *rules)
    yield passwords
    await acl("ACL", "DELUSER", *RULES)


def as_user(settings: Settings, user: str, users: Mapping[str, str], database_url: str | None = None) -> Settings:
    place = urlsplit(settings.redis_dsn)
    address = place._replace(netloc=f"{user}:{users[user]}@{place.netloc.rpartition('@')[2]}").geturl()
    return Settings.model_validate(settings.model_dump() | {"redis_url": address, "database_url": database_url})
