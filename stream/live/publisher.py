"""Publishes live messages to channel, history and timeline, and acknowledges their entries, in one step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from schemas.catalogue import EventType
from stream.keys import LIVE_EVENTS, LIVE_GROUP, LIVE_STATE, TIMELINE, channel, history_key, stream_key
from stream.server.failures import translated_errors

_SCRIPT: Final = (Path(__file__).parent / "publish.lua").read_text(encoding="utf-8")
_ACKNOWLEDGE_ONLY: Final = 0
_TYPES: Final = {event_type.value: number for number, event_type in enumerate(EventType, start=1)}
_HISTORIES: Final = [history_key(event_type) for event_type in _TYPES]
_CHANNELS: Final = [channel(event_type) for event_type in _TYPES]


class Publication(NamedTuple):
    """How to process one entry."""

    entry_id: str
    event_type: str | None = None
    """None: acknowledge the entry without publishing it."""
    event_id: bytes = b""
    tail: str = ""
    """The message without its beginning: `schemas.live.message_tail`."""


class Published(NamedTuple):
    """Number of entries of one call, by result."""

    published: int
    repeated: int
    """Entries whose event was recently published from another entry."""
    settled_before: int
    """Entries that had been acknowledged before."""


class Publisher:
    """Publishes the entries of one partition for the live group."""

    def __init__(self, redis: Redis, partition: int, most_history: int, most_timeline: int) -> None:
        """Set the maximum number of messages of each type, and of all types together.

        `most_timeline` is also the number of recent events that are recognised when another entry repeats them.
        """
        self._keys = [stream_key(partition), TIMELINE, LIVE_STATE, LIVE_EVENTS, *_HISTORIES]
        self._limits: list[str | int] = [LIVE_GROUP, most_history, most_timeline, *_CHANNELS]
        self._script = redis.register_script(_SCRIPT)

    async def publish(self, publications: Sequence[Publication]) -> Published:
        """Publish each event once and acknowledge every entry. After a failure, repeat the call with the same entries.

        Raises StreamUnavailable; the call has then had its full effect or none.
        """
        arguments: list[str | bytes | int] = [*self._limits]
        for entry_id, event_type, event_id, tail in publications:
            arguments += (entry_id, _TYPES[event_type] if event_type else _ACKNOWLEDGE_ONLY, event_id, tail)
        with translated_errors():
            reply: Any = await self._script(keys=self._keys, args=arguments)
        return Published(*reply)
