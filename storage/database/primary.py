"""Connects to the primary among the servers that DATABASE_URL names.

A standby is never used, not even to read: an answer states through which time it is complete, and a standby may be
behind that.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import asyncpg

_HEAD_START_SECONDS: Final = 0.5
"""Time a server has to answer before the next one is tried as well."""

_HOST: Final = re.compile(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<name>[^\[\]:]+))(?::(?P<port>[0-9]+))?")

Attempt = Callable[[], Coroutine[Any, Any, asyncpg.Connection]]


async def connect_to_primary(database_url: str, *, read_only: bool = False, **options: Any) -> asyncpg.Connection:
    """Connect to the first server that is a primary and, unless `read_only`, accepts writes by default.

    `options` are those of asyncpg.connect; its `timeout` applies to each server. A server that is slow to answer, as a
    lost machine is, does not keep the others from being tried. Raises errors of asyncpg and OSError.
    """
    # a read-only session reports that it refuses writes, whatever the server does
    options["target_session_attrs"] = "primary" if read_only else "read-write"
    return await _first_of(
        [partial(asyncpg.connect, database_url, host=host, port=port, **options) for host, port in _hosts(database_url)]
    )


def refuses_writes(connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy) -> bool:
    """Return whether the server has reported that transactions are read-only by default, as after a switchover.

    A primary becomes a standby only by a restart, which closes its connections.
    """
    return getattr(connection.get_settings(), "default_transaction_read_only", "off") == "on"


def _hosts(database_url: str) -> list[tuple[str | None, int | None]]:
    """Return host and port of each server; None for what the URL gives elsewhere, or not at all."""
    places = urlsplit(database_url).netloc.rpartition("@")[2]
    if not places:
        return [(None, None)]
    found = [match for place in places.split(",") if (match := _HOST.fullmatch(place))]
    return [(unquote(match["ipv6"] or match["name"]), int(match["port"]) if match["port"] else None) for match in found]


async def _first_of(attempts: Sequence[Attempt]) -> asyncpg.Connection:
    """Return the first connection. Each attempt begins when the one before it has failed or used up its head start."""
    waiting = list(attempts)
    running: set[asyncio.Task[asyncpg.Connection]] = set()
    started: list[asyncio.Task[asyncpg.Connection]] = []
    failures: list[BaseException] = []
    chosen: asyncpg.Connection | None = None
    try:
        while waiting or running:
            if waiting:
                started.append(asyncio.create_task(waiting.pop(0)()))
                running.add(started[-1])
            head_start = _HEAD_START_SECONDS if waiting else None
            done, running = await asyncio.wait(running, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                failure = attempt.exception()
                if failure is None:
                    chosen = attempt.result()
                    return chosen
                failures.append(failure)
        # what a server says is more telling than that another one is unreachable
        raise next((failure for failure in failures if isinstance(failure, asyncpg.PostgresError)), failures[0])
    finally:
        for attempt in started:
            attempt.cancel()
        for other in await asyncio.gather(*started, return_exceptions=True):
            if isinstance(other, asyncpg.Connection) and other is not chosen:
                other.terminate()
