"""How durable an append is before it counts: what is asked of Redis behind the writes, on their own connection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runtime.errors import StreamUnavailable
from runtime.settings import Durability
from stream.keys import PROBE
from stream.server.failures import is_unknown_command, translated_errors

CONFIRMATION_SECONDS: Final = 4.0
"""How long Redis may take to confirm; shorter than a call may take, so that its own count is heard."""

_LOCAL: Final = 1
_REPLICAS: Final = 1
_LEAST_SECONDS: Final = 0.9
"""Between the starts of two fsyncs under everysec, and a margin for the clocks."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A command that waits for the writes in front of it, and the counts its reply must reach."""

    command: tuple[str | int, ...]
    required: tuple[int, ...]

    def check(self, reply: Any) -> None:
        """Raise StreamUnavailable unless the reply counts as many disks and replicas as are required."""
        if isinstance(reply, ResponseError):
            raise StreamUnavailable("not_durable", f"Redis cannot confirm: {reply}") from reply
        counts: Sequence[int] = [reply] if isinstance(reply, int) else reply
        if any(count < least for count, least in zip(counts, self.required, strict=True)):
            wanted = "/".join(map(str, self.required))
            raise StreamUnavailable("not_durable", f"{self.command[0]} confirmed {counts} of {wanted}")


async def confirmation(redis: Redis, level: Durability, seconds: float) -> Confirmation | None:
    """Return what the level asks for within so many seconds on this server, None when Redis' own answer is enough.

    A level that needs a replica makes do with the replica's memory where Redis knows no WAITAOF (before 7.2); one that
    needs the disk does not. Raises StreamUnavailable.
    """
    patience = round(seconds * 1000)
    match level:
        case "memory" | "server":
            return None
        case "local":
            return Confirmation(("WAITAOF", _LOCAL, 0, patience), (_LOCAL, 0))
        case "replica" if await knows_waitaof(redis):
            return Confirmation(("WAITAOF", _LOCAL, _REPLICAS, patience), (_LOCAL, _REPLICAS))
        case "replica":
            return Confirmation(("WAIT", _REPLICAS, patience), (_REPLICAS,))


async def knows_waitaof(redis: Redis) -> bool:
    """Return whether the server can say what is on disk. Raises StreamUnavailable."""
    with translated_errors():
        try:
            # asks for nothing, so it returns at once where the command is known
            await redis.waitaof(0, 0, 0)
        except ResponseError as error:
            if is_unknown_command(error):
                return False
            raise
    return True


async def confirms_early(redis: Redis) -> bool:
    """Return whether WAITAOF is proven to answer before the disk has the write. For servers with everysec only.

    Such a server starts a fsync at most once a second, so of two writes that are confirmed one after the other within
    less, one is not on disk (redis#13793; Valkey 9.1 too). Writes a key that expires. Raises StreamUnavailable.
    """
    started = time.monotonic()
    for _ in range(2):
        with translated_errors():
            async with redis.pipeline(transaction=False) as pipeline:
                pipeline.set(PROBE, 1, ex=60)
                pipeline.waitaof(_LOCAL, 0, round(CONFIRMATION_SECONDS * 1000))
                await pipeline.execute()
    return time.monotonic() - started < _LEAST_SECONDS
