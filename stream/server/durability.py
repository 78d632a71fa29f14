"""Durability levels of an append: the command that follows the writes on their connection and waits for durability."""

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
"""Maximum time for Redis to confirm. It is shorter than the timeout of a call, so that the reply still arrives."""

_LOCAL: Final = 1
_REPLICAS: Final = 1
_MIN_SECONDS: Final = 0.9
"""Minimum time between the starts of two fsyncs under everysec, less a margin for the clocks."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A command that waits for the preceding writes, and the minimum counts of its reply."""

    command: tuple[str | int, ...]
    required: tuple[int, ...]

    def check(self, reply: Any) -> None:
        """Raise StreamUnavailable if the reply reports fewer disks or replicas than required."""
        if isinstance(reply, ResponseError):
            raise StreamUnavailable("not_durable", f"Redis cannot confirm: {reply}") from reply
        counts: Sequence[int] = [reply] if isinstance(reply, int) else reply
        if any(count < least for count, least in zip(counts, self.required, strict=True)):
            wanted = "/".join(map(str, self.required))
            raise StreamUnavailable("not_durable", f"{self.command[0]} confirmed {counts} of {wanted}")


async def confirmation(redis: Redis, level: Durability, seconds: float) -> Confirmation | None:
    """Return the confirmation that the level requires within `seconds`; None if the reply to the write is enough.

    On a server without WAITAOF (Redis before 7.2), `replica` accepts the memory of the replica; `local` fails. Raises
    StreamUnavailable.
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
    """Return whether the server supports WAITAOF. Raises StreamUnavailable."""
    with translated_errors():
        try:
            # requires nothing, so a server that supports the command replies at once
            await redis.waitaof(0, 0, 0)
        except ResponseError as error:
            if is_unknown_command(error):
                return False
            raise
    return True


async def confirms_early(redis: Redis) -> bool:
    """Return whether WAITAOF provably replies before the write is on disk. Only for servers with everysec.

    Such a server starts an fsync at most once a second. If two successive writes are confirmed within less, one of them
    is not on disk (redis#13793; also Valkey 9.1). Writes a key that expires. Raises StreamUnavailable.
    """
    started = time.monotonic()
    for _ in range(2):
        with translated_errors():
            async with redis.pipeline(transaction=False) as pipeline:
                pipeline.set(PROBE, 1, ex=60)
                pipeline.waitaof(_LOCAL, 0, round(CONFIRMATION_SECONDS * 1000))
                await pipeline.execute()
    return time.monotonic() - started < _MIN_SECONDS
