"""Detects streams that lost entries: Redis was emptied, or an older copy took over.

Redis counts all entries ever appended and never reuses an id. An entry that was the newest is therefore still in the
stream, or a trim removed it, which the counts show, or the stream has lost entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from stream.keys import stream_key
from stream.server.failures import is_missing_key, translated_errors

_FIRST: Final = "0-0"
_PAGE: Final = 10_000


class Position(NamedTuple):
    """The ends of a stream."""

    appended: int
    """Number of entries ever appended."""
    last_id: str
    """Id of the newest entry ever appended."""
    first_id: str = _FIRST
    """Id of the oldest entry in the stream; `last_id` if the stream is empty."""


class Gap(NamedTuple):
    """The entries that a stream has lost."""

    missing: int
    """Number of missing entries that were known."""
    after: str
    """Last id that the stream kept. Missing entries have higher ids."""
    before: str
    """First id that was appended after the loss. Missing entries have lower ids."""


async def find_position(redis: Redis, partition: int) -> Position:
    """Return the current ends of the stream. Raises StreamUnavailable."""
    with translated_errors():
        facts = await _facts(redis, stream_key(partition))
    last_id = _text(facts["last-generated-id"])
    oldest = facts["first-entry"]
    return Position(facts["entries-added"], last_id, _text(oldest[0]) if oldest else last_id)


async def find_gap(redis: Redis, partition: int, known: Position) -> Gap | None:
    """Return what a stream has lost since it had the ends `known`; None if nothing.

    If the clock of an older copy is late, new entries may be taken for old ones, and the result is too low. Costs two
    reads if nothing is missing. Raises StreamUnavailable.
    """
    key = stream_key(partition)
    with translated_errors():
        facts = await _facts(redis, key)
        if known.appended == 0 or await redis.xrange(key, known.last_id, known.last_id):
            return None
        removed = facts["entries-added"] - facts["length"]
        if removed >= known.appended or _order(_text(facts["max-deleted-entry-id"])) >= _order(known.last_id):
            return None
        newer = await _count(redis, key, known.last_id, _text(facts["last-generated-id"]))
        kept = max(0, min(known.appended, facts["entries-added"] - newer))
        after = await _last_kept(redis, key, known, kept)
        first = await redis.xrange(key, f"({after}", count=1)
        seconds, microseconds = await redis.time()
        before = _text(first[0][0]) if first else f"{int(seconds) * 1000 + int(microseconds) // 1000}-0"
    return Gap(known.appended - kept, after, before)


async def _last_kept(redis: Redis, key: str, known: Position, kept: int) -> str:
    if kept == 0:
        return _FIRST
    older = await redis.xrevrange(key, known.last_id, "-", count=1)
    # trimmed meanwhile: the known end also bounds the gap
    return _text(older[0][0]) if older else known.last_id


async def _count(redis: Redis, key: str, after: str, through: str) -> int:
    count = 0
    while page := await redis.xrange(key, f"({after}", through, count=_PAGE):
        count += len(page)
        after = _text(page[-1][0])
    return count


async def _facts(redis: Redis, key: str) -> Mapping[str, Any]:
    try:
        facts: Mapping[str, Any] = await redis.xinfo_stream(key)
    except ResponseError as error:
        if not is_missing_key(error):
            raise
        return {
            "entries-added": 0,
            "length": 0,
            "first-entry": None,
            "last-generated-id": _FIRST,
            "max-deleted-entry-id": _FIRST,
        }
    return facts


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)


def _text(value: Any) -> str:
    text: str = value.decode() if isinstance(value, bytes) else value
    return text
