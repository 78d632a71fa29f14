"""Checks that each user of Redis has the rights that its processes need."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runtime.diagnosis import Finding, check
from runtime.errors import StreamUnavailable
from stream.server.failures import NOT_PERMITTED, translated_errors
from stream.server.permission_probes import PROBES
from stream.server.permissions import RULES

_NAME: Final = "redis.permissions"
_MAX_LISTED: Final = 10


async def diagnose_permissions(redis: Redis) -> Finding:
    """Return whether the users of the processes may run every command that they need. Raises StreamUnavailable."""
    try:
        missing = await find_missing(redis)
    except ResponseError:
        return Finding(_NAME, "ok", "this server cannot test rights")
    except StreamUnavailable as error:
        if error.reason != NOT_PERMITTED:
            raise
        return Finding(_NAME, "ok", "not readable by this login: it lacks the right to ACL USERS and ACL DRYRUN (+acl)")
    return check_permissions(missing)


async def find_missing(redis: Redis) -> dict[str, list[str]]:
    """Return the commands that each existing user needs and may not run; users that lack nothing have none.

    Raises StreamUnavailable, and ResponseError if the server cannot test rights (Redis before 7.0).
    """
    acl: Any = redis.execute_command
    with translated_errors():
        existing = {user.decode() for user in await acl("ACL", "USERS")} & RULES.keys()
        needs = [(user, command) for command, users in PROBES.items() for user in sorted(users & existing)]
        async with redis.pipeline(transaction=False) as pipeline:
            for user, command in needs:
                pipeline.execute_command("ACL", "DRYRUN", user, *command)
            # a command that this server does not know is an error of the reply, which is no missing right
            replies = await pipeline.execute(raise_on_error=False)
    missing: dict[str, list[str]] = {user: [] for user in sorted(existing)}
    for (user, command), reply in zip(needs, replies, strict=True):
        if isinstance(reply, bytes) and reply != b"OK":
            missing[user].append(" ".join(command))
    return missing


def check_permissions(missing: Mapping[str, Sequence[str]]) -> Finding:
    """Check the commands that each user needs and may not run."""
    lacking = {user: commands for user, commands in missing.items() if commands}
    listed = [
        f"{user}: {', '.join(commands[:_MAX_LISTED])}{' ..' if len(commands) > _MAX_LISTED else ''}"
        for user, commands in lacking.items()
    ]
    return check(
        _NAME,
        not lacking,
        f"missing for {'; '.join(listed)}" if lacking else f"complete for {', '.join(missing) or 'no user'}",
        f"run at Redis: {'; '.join(map(_grant, lacking))}. Then ACL SAVE, or add the rules to the file of aclfile",
    )


def _grant(user: str) -> str:
    return f"ACL SETUSER {user} {' '.join(map(shlex.quote, RULES[user]))}"
