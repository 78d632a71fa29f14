"""Publishes live messages to channel, history and timeline, and moves the cursor past their entries, in one step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from schemas.catalogue import EventType
from stream.entries.cursor import LEASE
from stream.keys import channel, live_cursor_key, live_keys, stream_key
from stream.server.failures import translated_errors

_SCRIPT: Final = (Path(__file__).parent / "publish.lua").read_text(encoding="utf-8")
_TYPES: Final = {event_type.value: number for number, event_type in enumerate(EventType, start=1)}
_CHANNELS: Final = [channel(event_type) for event_type in _TYPES]


class Move(NamedTuple):
    """A move of the cursor past entries that were read together."""

    after: str
    """The cursor that they were read after."""
    to: str
    """Id of the last of them."""
    entries: int


class Publication(NamedTuple):
    """An event to publish."""

    event_type: str
    event_id: bytes
    tail: str
    """The message without its beginning: `schemas.live.message_tail`."""


class Published(NamedTuple):
    """Number of events of one call, by result."""

    published: int
    repeated: int
    """Events that were recently published from another entry."""


class CursorMoved(Exception):
    """Nothing was published: the cursor is elsewhere, or the entries are lost."""


class Publisher:
    """Publishes the entries of one partition for one live worker."""

    def __init__(
        self, redis: Redis, partition: int, name: str, most_history: int, most_timeline: int, partitions: int = 1
    ) -> None:
        """Set the name of the worker, and the maximum number of messages of each type, and of all types together.

        Both are those of this partition. `most_timeline` is also the number of recent events that are recognised when
        another entry repeats them.
        """
        live = live_keys(partition, partitions)
        histories = [live.history(event_type) for event_type in _TYPES]
        stream = [stream_key(partition), live_cursor_key(partition)]
        self._keys = [*stream, live.timeline, live.state, live.events, *histories]
        lease = LEASE // timedelta(milliseconds=1)
        self._settings: list[str | int] = [name, lease, most_history, most_timeline, *_CHANNELS]
        self._end = f',"partition":{partition}}}' if partitions > 1 else "}"
        self._script = redis.register_script(_SCRIPT)

    async def publish(self, move: Move, publications: Sequence[Publication]) -> Published:
        """Publish each event once and move the cursor.

        Raises CursorMoved if the entries were not read after the cursor, and StreamUnavailable: the call has then had
        its full effect or none. If it had, a repeated call raises CursorMoved.
        """
        arguments: list[str | bytes | int] = [*move, *self._settings]
        for event_type, event_id, tail in publications:
            arguments += (_TYPES[event_type], event_id, tail.removesuffix("}") + self._end)
        with translated_errors():
            reply: Any = await self._script(keys=self._keys, args=arguments)
        if reply is None:
            raise CursorMoved
        return Published(*reply)
