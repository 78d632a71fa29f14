"""Whether a stream still has what it once had: Redis may have been emptied, or an older copy may have taken over.

Redis counts what was ever appended and never reuses an id, so an entry that was the newest one is still there, or it
was removed by a trim, which the count tells as well, or the stream is not the same any more.
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
    """Where the ends of a stream are."""

    appended: int
    """Entries ever appended."""
    last_id: str
    """Of the newest of them."""
    first_id: str = _FIRST
    """Of the oldest entry the stream still has; of the newest it ever had when it is empty."""


class Gap(NamedTuple):
    """What a stream had and has no more."""

    missing: int
    """Entries, as far as they were known of."""
    after: str
    """The last id the stream kept; what is gone comes behind it."""
    before: str
    """The first id the stream was given after it went back."""


async def find_position(redis: Redis, partition: int) -> Position:
    """Return where the ends of the stream are. Raises StreamUnavailable."""
    with translated_errors():
        facts = await _facts(redis, stream_key(partition))
    last_id = _text(facts["last-generated-id"])
    oldest = facts["first-entry"]
    return Position(facts["entries-added"], last_id, _text(oldest[0]) if oldest else last_id)


async def find_gap(redis: Redis, partition: int, known: Position) -> Gap | None:
    """Return what is gone of a stream that had its end at `known`; None when nothing is.

    With a copy whose clock is late, new entries may be taken for old ones: then less seems to be gone than is. Costs
    two reads when nothing is gone. Raises StreamUnavailable.
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
    # trimmed meanwhile: the end that was known bounds the gap too
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
