"""The live worker: read, decode, publish.

    while not told to stop:   read -> decode -> one script that publishes and acknowledges
                              '---- the next ones'

The first entry after a pause is published at once; what comes meanwhile goes together. It needs no database, and
publishes an entry once however often it is delivered. What it is too late for is skipped by maintenance: live events
are worth little when they are old, and all are stored anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence, Set
from datetime import datetime
from functools import partial
from typing import Final, Protocol

from processors.background import Background
from processors.consumer_name import consumer_name
from processors.retry import until_available
from runtime.clock import utc_now
from runtime.errors import StreamUnavailable
from runtime.failpoints import Failpoint, reach
from runtime.lifecycle import run_together, stop_on_signals, wait
from runtime.settings import Settings
from schemas.live import message_tail
from schemas.stream_entry import MalformedEntry, read
from stream.connection import Redis, connect
from stream.consumer import Consumer, Entry
from stream.health import ping
from stream.keys import LIVE_GROUP
from stream.publisher import Publication, Published, Publisher
from stream.tombstones import follow_tombstones, read_tombstones
from telemetry import events as telemetry
from telemetry import logging
from telemetry.exposition import publish_build
from telemetry.health import Check
from web.server.http_server import serve_http
from web.server.listener import status_listener
from web.status import status_application

BATCH: Final = 500
"""Most entries of one script; bounds how long it keeps Redis from everybody else."""

CLAIM_IDLE_SECONDS: Final = 10.0
"""Idle time after which another live worker's entry is taken over. Taking one from a worker that lives is harmless."""

_BLOCK_MS: Final = 1_000

_GATHER_SECONDS: Final = 0.005
"""After a read that took all there was: a read and a script cost about the same for one entry and for many."""


class Source(Protocol):
    """Where entries come from."""

    async def join(self) -> None:
        """Make ready for reading. Raises StreamUnavailable."""

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Return entries; none after `block_ms` without any. Raises StreamUnavailable."""

    def settled(self, ids: Sequence[str]) -> None:
        """Take note that entries were acknowledged."""


class Outlet(Protocol):
    """Where messages go."""

    async def publish(self, publications: Sequence[Publication]) -> Published:
        """Publish each once and acknowledge all. Raises StreamUnavailable."""


class Erased:
    """Who is erased, as far as it is known here; their events are not published."""

    def __init__(self) -> None:
        self.user_hashes: Set[bytes] = frozenset()

    def renew(self, user_hashes: Set[bytes]) -> None:
        """Know these from now on."""
        self.user_hashes = user_hashes


class LiveWorker:
    """Publishes the entries of one partition."""

    def __init__(self, source: Source, outlet: Outlet, erased: Erased, stop: asyncio.Event) -> None:
        self._source = source
        self._outlet = outlet
        self._erased = erased
        self._stop = stop

    async def run(self) -> None:
        """Work until told to stop; what is in hand then is published, or stays pending for the next worker."""
        # raised only once told to stop
        with contextlib.suppress(StreamUnavailable):
            await until_available(self._source.join, self._stop)
            async with Background.open() as background:
                while not self._stop.is_set():
                    entries = await until_available(lambda: self._source.read(BATCH, _BLOCK_MS), self._stop)
                    if entries:
                        reach(Failpoint.AFTER_READ)
                        prepared = prepare(entries, self._erased.user_hashes)
                        await background.run(self._settle([entry.id for entry in entries], *prepared))
                        if len(entries) < BATCH:
                            await wait(self._stop, _GATHER_SECONDS)
                    await background.look()

    async def _settle(
        self, ids: Sequence[str], publications: Sequence[Publication], results: Counter[str], oldest: datetime | None
    ) -> None:
        started = time.perf_counter()
        done = await until_available(lambda: self._outlet.publish(publications), self._stop)
        reach(Failpoint.AFTER_PUBLISH)
        self._source.settled(ids)
        results.update(published=done.published, duplicate=done.repeated, redelivered=done.settled_before)
        age = (utc_now() - oldest).total_seconds() if oldest else 0.0
        telemetry.events_published(results, time.perf_counter() - started, age)


def prepare(entries: Sequence[Entry], erased: Set[bytes]) -> tuple[list[Publication], Counter[str], datetime | None]:
    """Return what becomes of each entry, how many are not published and why, and when the oldest other was received.

    An entry that is no event is only acknowledged: store workers park it. Pure.
    """
    publications: list[Publication] = []
    results: Counter[str] = Counter()
    oldest: datetime | None = None
    for entry in entries:
        try:
            event = read(entry.fields)
            tail = message_tail(event)
        except MalformedEntry:
            publications.append(Publication(entry.id))
            results["unreadable"] += 1
            continue
        if event.user_hash and bytes.fromhex(event.user_hash) in erased:
            publications.append(Publication(entry.id))
            results["suppressed"] += 1
            continue
        event_id = bytes.fromhex(event.event_id.replace("-", ""))
        publications.append(Publication(entry.id, event.event_type, event_id, tail))
        received = datetime.fromisoformat(event.received_at)
        oldest = min(oldest, received) if oldest else received
    return publications, results, oldest


async def known_tombstones(redis: Redis) -> Set[bytes]:
    """Return who is erased; nobody when that was never published. Raises StreamUnavailable."""
    return await read_tombstones(redis) or frozenset()


async def serve(settings: Settings) -> None:
    """Run a live worker until SIGTERM or SIGINT."""
    with stop_on_signals() as stop:
        await run(settings, stop)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run a live worker until `stop` is set; a defect in any of its loops ends all and is raised."""
    name = consumer_name()
    logging.bind(consumer=name)
    redis = connect(settings, blocking=True)
    erased = Erased()
    try:
        with contextlib.suppress(StreamUnavailable):
            erased.renew(await until_available(partial(known_tombstones, redis), stop))
        loops = [follow_tombstones(redis, erased.renew, stop)]
        for partition in range(settings.stream_partitions):
            consumer = Consumer(redis, partition, LIVE_GROUP, name, claim_idle_seconds=CLAIM_IDLE_SECONDS)
            outlet = Publisher(redis, partition, settings.live_history_events, settings.live_timeline_events)
            loops.append(LiveWorker(consumer, outlet, erased, stop).run())
        if settings.metrics_port:
            status = status_application([Check("redis", lambda: ping(redis))], stop=stop)
            loops.append(serve_http(status, status_listener(settings), stop))
        telemetry.process_started("live worker", publish_build())
        await run_together(stop, *loops)
    finally:
        await redis.aclose()
        telemetry.process_stopped("live worker")
