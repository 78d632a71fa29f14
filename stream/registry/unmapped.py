"""Counts unmapped event names of Segment clients, over all ingest processes, in one small hash of Redis."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from stream.keys import UNMAPPED
from stream.server.failures import translated_errors

MAX_NAMES: Final = 100

OTHER: Final = "(other)"
"""Name for the counts of further names, and of names that might identify a person."""

KEPT: Final = timedelta(days=7)
"""How long a name is reported after it was last seen."""

_SCRIPT: Final = (Path(__file__).parent / "note_unmapped.lua").read_text(encoding="utf-8")


class Unmapped(NamedTuple):
    """A name and the number of its uses."""

    name: str
    times: int
    last_seen: datetime


async def add_unmapped(redis: Redis, counts: Mapping[str, int], now: datetime) -> None:
    """Add counts by name. Raises StreamUnavailable; after a timeout the counts may have been added."""
    arguments: list[str | int] = [int(now.timestamp()), int(KEPT.total_seconds()), MAX_NAMES, OTHER]
    for name, count in counts.items():
        arguments += [name, count]
    with translated_errors():
        await redis.register_script(_SCRIPT)(keys=[UNMAPPED], args=arguments)


async def read_unmapped(redis: Redis, now: datetime) -> list[Unmapped]:
    """Return the names seen within `KEPT`, most frequent first. Raises StreamUnavailable."""
    with translated_errors():
        found: Any = await redis.hgetall(UNMAPPED)
    names = [_read(name.decode(), value) for name, value in found.items()]
    return sorted((one for one in names if now - one.last_seen <= KEPT), key=lambda one: (-one.times, one.name))


def _read(name: str, value: bytes) -> Unmapped:
    times, seconds = map(int, value.split())
    return Unmapped(name, times, datetime.fromtimestamp(seconds, UTC))
