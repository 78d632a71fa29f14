"""Appends accepted events to the stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from runtime.clock import utc_now
from runtime.settings import Durability
from schemas.entry import ROW, WireEvent, pack
from stream.keys import stream_key
from stream.registry.key_changes import record_key_change
from stream.server.durability import CONFIRMATION_SECONDS, Confirmation, confirmation
from stream.server.failures import translated_errors

MAX_EVENTS_PER_CALL: Final = 1_000
"""Maximum number of events of one script call. It bounds how long the call blocks Redis."""

_SCRIPT: Final = (Path(__file__).parent / "append.lua").read_text(encoding="utf-8")


def partition_of(event: WireEvent, partitions: int) -> int:
    """Return the partition of an event: the same for all events of a learner; by event id for events without one."""
    source = event.user_hash[:16] or event.event_id[19:].replace("-", "")
    return int(source, 16) % partitions


def _by_partition(events: Sequence[WireEvent], partitions: int) -> Mapping[int, Sequence[WireEvent]]:
    if partitions == 1:
        return {0: events}
    split: dict[int, list[WireEvent]] = {}
    for event in events:
        split.setdefault(partition_of(event, partitions), []).append(event)
    return split


class Producer:
    """Appends events, many in one script call."""

    def __init__(
        self,
        redis: Redis,
        partitions: int,
        durability: Durability = "server",
        confirmation_seconds: float = CONFIRMATION_SECONDS,
        changed_key: int | None = None,
    ) -> None:
        """`confirmation_seconds`: maximum time for Redis to confirm the durability of an append.

        `changed_key`: version of the pseudonym key, if it replaced another key.
        """
        self._redis = redis
        self._partitions = partitions
        self._durability = durability
        self._confirmation_seconds = confirmation_seconds
        self._append = redis.register_script(_SCRIPT)
        self._changed_key = changed_key

    async def append(self, events: Sequence[WireEvent]) -> None:
        """Append the events in order. Returns once Redis has them at the durability level.

        Raises StreamUnavailable. Some events may then have been appended, so senders must repeat them with the same
        ids.
        """
        if self._changed_key is not None:
            # before the first event with the new key, so that a worker that reads the event can read the change
            await record_key_change(self._redis, self._changed_key, utc_now())
            self._changed_key = None
        confirmed = await confirmation(self._redis, self._durability, self._confirmation_seconds)
        if confirmed is None:
            for call in self._calls(events):
                with translated_errors():
                    await self._append(**call)
        else:
            await self._append_confirmed(events, confirmed)

    async def _append_confirmed(self, events: Sequence[WireEvent], confirmed: Confirmation) -> None:
        # in one pipeline: the wait covers only writes of its own connection
        with translated_errors():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for call in self._calls(events):
                    await self._append(**call, client=pipeline)
                pipeline.execute_command(*confirmed.command)
                *appends, reply = await pipeline.execute(raise_on_error=False)
            for outcome in appends:
                if isinstance(outcome, Exception):
                    raise outcome
        confirmed.check(reply)

    def _calls(self, events: Sequence[WireEvent]) -> Iterator[dict[str, Any]]:
        """Yield the arguments of each script call."""
        for partition, those in _by_partition(events, self._partitions).items():
            for start in range(0, len(those), MAX_EVENTS_PER_CALL):
                rows = map(pack, those[start : start + MAX_EVENTS_PER_CALL])
                yield {"keys": [stream_key(partition)], "args": [ROW, *rows]}
