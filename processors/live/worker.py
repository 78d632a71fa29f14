"""The live worker: publishes events to subscribers.

    read after the cursor -> decode -> one script that publishes and moves the cursor

While entries are published, the next ones are read. The first entry after a pause is published at once; entries that
arrive meanwhile are published together. Several workers of a partition are a leader and its standbys; an entry is
published once however many of them read it. Maintenance skips entries that are too old. The live worker needs no
database.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence, Set
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple, Protocol

from processors.consumer_name import consumer_name
from processors.retry import until_available
from processors.stage import Stage
from runtime.clock import utc_now
from runtime.errors import StreamUnavailable
from runtime.failpoints import Failpoint, reach
from runtime.lifecycle import run_together, stop_on_signals, wait
from runtime.polling import poll
from runtime.settings import Settings
from schemas.entry import MalformedEntry, read
from schemas.live import message_tail
from stream.entries.entry import Entry
from stream.live.feed import Feed, record_partitions
from stream.live.publisher import CursorMoved, Move, Publication, Published, Publisher
from stream.registry.tombstones import TombstoneSync, read_tombstones
from stream.server.connection import Redis, connect
from stream.server.health import primary
from telemetry import internal_events as telemetry
from telemetry import logging
from telemetry.exposition import publish_process
from telemetry.health import Check, Readiness
from telemetry.labels import LiveResult
from telemetry.process_facts import measure_process
from telemetry.roles import Role
from web.server.http_server import serve_http
from web.server.listener import status_listener
from web.status import status_application

BATCH: Final = 500
"""Maximum number of entries of one script call: bounds how long the call blocks Redis."""

RECORD_PARTITIONS_EVERY: Final = timedelta(seconds=5)

_BLOCK_MS: Final = 1_000

_WATCH_SECONDS: Final = 0.5
"""Pause of a standby between two looks at the lead."""

_GATHER_SECONDS: Final = 0.005
"""Pause after a read that emptied the stream: a read and a script cost the same for one entry and for many."""


class Source(Protocol):
    """Where entries come from."""

    async def lead(self) -> str | None:
        """Lead, or lead on; return the cursor, or None if another worker leads. Raises StreamUnavailable."""

    async def resign(self) -> None:
        """End the lead, if this worker has it. Raises StreamUnavailable."""

    async def read(self, after: str, count: int, block_ms: int) -> list[Entry]:
        """Return up to `count` entries after an id; none if none arrive within `block_ms`. Raises StreamUnavailable."""


class Outlet(Protocol):
    """Where messages go."""

    async def publish(self, move: Move, publications: Sequence[Publication]) -> Published:
        """Publish each event once and move the cursor. Raises CursorMoved, StreamUnavailable."""


class Erased:
    """The erased learners known to this process. Their events are not published."""

    def __init__(self) -> None:
        self.user_hashes: Set[bytes] = frozenset()

    def renew(self, user_hashes: Set[bytes]) -> None:
        """Replace the known learners."""
        self.user_hashes = user_hashes


class Prepared(NamedTuple):
    """Entries that are ready to be published."""

    move: Move
    publications: list[Publication]
    withheld: Counter[LiveResult]
    """Number of entries that are passed over, by reason."""
    oldest: datetime | None
    """When the oldest event to publish was received."""


class LiveWorker:
    """Publishes the entries of one partition."""

    def __init__(self, source: Source, outlet: Outlet, erased: Erased) -> None:
        self._source = source
        self._outlet = outlet
        self._erased = erased

    async def run(self, stop: asyncio.Event) -> None:
        """Publish entries until `stop` is set, then those in hand. What cannot be published stays after the cursor."""
        # raised only once `stop` is set
        with contextlib.suppress(StreamUnavailable):
            while not stop.is_set():
                cursor = await until_available(self._source.lead, stop)
                if cursor is None:
                    await wait(stop, _WATCH_SECONDS)
                    continue
                with contextlib.suppress(CursorMoved):
                    await self._publish_after(cursor, stop)
            await self._source.resign()

    async def _publish_after(self, cursor: str, stop: asyncio.Event) -> None:
        """Publish entries until none arrive or `stop` is set. Raises CursorMoved, StreamUnavailable."""
        async with Stage[Prepared](partial(self._publish, stop)) as publishing:
            while not stop.is_set():
                entries = await until_available(partial(self._source.read, cursor, BATCH, _BLOCK_MS), stop)
                if not entries:
                    return
                reach(Failpoint.AFTER_READ)
                await publishing.submit(prepare(cursor, entries, self._erased.user_hashes))
                cursor = entries[-1].id
                if len(entries) < BATCH:
                    await wait(stop, _GATHER_SECONDS)
                await publishing.check()

    async def _publish(self, stop: asyncio.Event, prepared: Prepared) -> None:
        started = time.perf_counter()
        try:
            done = await until_available(lambda: self._outlet.publish(prepared.move, prepared.publications), stop)
        except CursorMoved:
            results = Counter({LiveResult.REDELIVERED: prepared.move.entries})
            telemetry.events_published(results, time.perf_counter() - started, 0.0)
            raise
        reach(Failpoint.AFTER_PUBLISH)
        results = prepared.withheld + Counter(
            {LiveResult.PUBLISHED: done.published, LiveResult.DUPLICATE: done.repeated}
        )
        age = (utc_now() - prepared.oldest).total_seconds() if prepared.oldest else 0.0
        telemetry.events_published(results, time.perf_counter() - started, age)


def prepare(cursor: str, entries: Sequence[Entry], erased: Set[bytes]) -> Prepared:
    """Return what to do with entries that were read after the cursor. Pure.

    An entry that holds no valid event is passed over: store workers park it.
    """
    publications: list[Publication] = []
    withheld: Counter[LiveResult] = Counter()
    oldest: datetime | None = None
    for entry in entries:
        try:
            event = read(entry.fields)
            tail = message_tail(event)
        except MalformedEntry:
            withheld[LiveResult.UNREADABLE] += 1
            continue
        if event.user_hash and bytes.fromhex(event.user_hash) in erased:
            withheld[LiveResult.SUPPRESSED] += 1
            continue
        event_id = bytes.fromhex(event.event_id.replace("-", ""))
        publications.append(Publication(event.event_type, event_id, tail))
        received = datetime.fromisoformat(event.received_at)
        oldest = min(oldest, received) if oldest else received
    return Prepared(Move(cursor, entries[-1].id, len(entries)), publications, withheld, oldest)


async def known_tombstones(redis: Redis) -> Set[bytes]:
    """Return the erased learners; none if they were never published. Raises StreamUnavailable."""
    return await read_tombstones(redis) or frozenset()


async def keep_partitions_recorded(redis: Redis, partitions: int, stop: asyncio.Event) -> None:
    """Record the number of partitions until `stop` is set: Redis may lose it while this process runs."""
    # raised only once `stop` is set
    with contextlib.suppress(StreamUnavailable):
        await poll(
            lambda: until_available(partial(record_partitions, redis, partitions), stop), RECORD_PARTITIONS_EVERY, stop
        )


async def serve(settings: Settings) -> None:
    """Run a live worker until SIGTERM or SIGINT."""
    with stop_on_signals() as stop:
        await run(settings, stop)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run a live worker until `stop` is set. A defect in one of its loops ends all of them and is raised."""
    name = consumer_name()
    logging.bind(consumer=name)
    redis = connect(settings, blocking=True, role="live")
    erased = Erased()
    try:
        with contextlib.suppress(StreamUnavailable):
            erased.renew(await until_available(partial(known_tombstones, redis), stop))
        readiness = Readiness([Check("redis", lambda: primary(redis))])
        partitions = settings.stream_partitions
        loops = [
            TombstoneSync(redis, erased.renew).run(stop),
            measure_process(readiness, stop),
            keep_partitions_recorded(redis, partitions, stop),
        ]
        most_history = max(1, settings.live_history_events // partitions)
        most_timeline = max(1, settings.live_timeline_events // partitions)
        for partition in range(partitions):
            outlet = Publisher(redis, partition, name, most_history, most_timeline, partitions)
            loops.append(LiveWorker(Feed(redis, partition, name), outlet, erased).run(stop))
        if settings.metrics_port:
            status = status_application(Role.LIVE_WORKER, readiness, stop=stop)
            loops.append(serve_http(status, status_listener(settings), stop))
        telemetry.process_started(Role.LIVE_WORKER, publish_process(settings))
        await run_together(stop, *loops)
    finally:
        await redis.aclose()
        telemetry.process_stopped(Role.LIVE_WORKER)
