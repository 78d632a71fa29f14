"""The store worker: read, decode, write, acknowledge.

    while not told to stop:   read -> batch until full or old -> decode -> one transaction -> acknowledge
                              '---- the next batch ----------------------'   '-- the one before --'

While the database stores a batch, the next one is read and decoded, and the one before is acknowledged; never are two
of a partition stored at once, and never is one acknowledged before it is stored. At the end it stops reading, writes
what is in hand, acknowledges, closes. What it cannot write stays pending in the stream and goes to the next worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import zlib
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from processors.background import Background
from processors.batch import Batch, BatchPolicy
from processors.breaker import Breaker, BreakerPolicy
from processors.consumer_name import consumer_name
from processors.decode import StorableRange, decode_entries
from processors.id_conflicts import ConflictCounter
from processors.retry import until_available
from processors.store import BatchStore
from runtime.clock import utc_now
from runtime.errors import StorageUnavailable, StreamUnavailable
from runtime.failpoints import Failpoint, reach
from runtime.lifecycle import run_together, stop_on_signals, wait
from runtime.settings import Settings
from storage.health import ping as ping_storage
from storage.pool import open_pool
from storage.writer import BatchCounts, BatchWriter, DeadLetter, ReceivedEvent
from stream.connection import connect
from stream.consumer import Consumer, Entry
from stream.health import ping as ping_stream
from stream.key_changes import read_key_changes
from stream.keys import STORE_GROUP
from telemetry import events as telemetry
from telemetry import logging
from telemetry.exposition import publish_build
from telemetry.health import Check
from web.server.http_server import serve_http
from web.server.listener import status_listener
from web.status import status_application

_DECODED_AT_ONCE: Final = 100
"""Entries; a fraction of a millisecond."""


class Source(Protocol):
    """Where entries come from."""

    async def join(self) -> None:
        """Make ready for reading. Raises StreamUnavailable."""

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Return entries; none after `block_ms` without any. Raises StreamUnavailable."""

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Settle entries for good. Raises StreamUnavailable."""


class PartitionWorker:
    """Moves the entries of one partition into the database, batch by batch."""

    def __init__(
        self,
        source: Source,
        store: BatchStore,
        policy: BatchPolicy,
        raw_retention: timedelta,
        stop: asyncio.Event,
    ) -> None:
        self._source = source
        self._store = store
        self._batch = Batch(policy)
        self._raw_retention = raw_retention
        self._stop = stop

    async def run(self) -> None:
        """Work until told to stop, then finish what is in hand.

        Raises StorageUnavailable if that cannot be stored, and DeadLetterLimitReached; the entries then stay pending.
        """
        with contextlib.suppress(StreamUnavailable):
            await until_available(self._source.join, self._stop)
        async with Background.open() as acknowledging, Background.open() as storing:
            while not self._stop.is_set():
                plan = self._batch.next_read(time.monotonic())
                if plan.pause_ms and await wait(self._stop, plan.pause_ms / 1000):
                    break
                entries = await self._read(plan.count, plan.block_ms)
                if entries:
                    reach(Failpoint.AFTER_READ)
                self._batch.add(entries, time.monotonic())
                if self._batch.is_due(time.monotonic()):
                    await storing.run(await self._decoded(self._batch.take(), acknowledging))
                await storing.look()
            if self._batch.entries:
                await storing.run(await self._decoded(self._batch.take(), acknowledging))

    async def _read(self, count: int, block_ms: int) -> list[Entry]:
        try:
            return await until_available(lambda: self._source.read(count, block_ms), self._stop)
        except StreamUnavailable:
            # Told to stop while the stream is away: what is in hand can still be stored.
            return []

    async def _decoded(self, entries: Sequence[Entry], acknowledging: Background) -> Coroutine[object, object, None]:
        """Decode a batch; return what stores it, and then leaves its acknowledgement to `acknowledging`."""
        times = telemetry.BatchTimes(read=time.monotonic() - self._batch.opened_at)
        storable = StorableRange.around(utc_now(), self._raw_retention)
        events: list[ReceivedEvent] = []
        letters: list[DeadLetter] = []
        for start in range(0, len(entries), _DECODED_AT_ONCE):
            some_events, some_letters = decode_entries(entries[start : start + _DECODED_AT_ONCE], storable)
            events += some_events
            letters += some_letters
            # the database may have an answer for the batch before, and waits for what comes next
            await asyncio.sleep(0)
        times.decode = times.lap()
        reach(Failpoint.AFTER_DECODE)
        return self._settle(entries, events, letters, times, acknowledging)

    async def _settle(
        self,
        entries: Sequence[Entry],
        events: Sequence[ReceivedEvent],
        letters: Sequence[DeadLetter],
        times: telemetry.BatchTimes,
        acknowledging: Background,
    ) -> None:
        times.lap()
        counts = await self._store.store(events, letters, {entry.id: entry for entry in entries})
        times.write = times.lap()
        reach(Failpoint.AFTER_COMMIT)
        received = [datetime.fromisoformat(event.received_at) for _, event in events]
        age = (utc_now() - min(received)).total_seconds() if received else 0.0
        await acknowledging.run(self._acknowledge([entry.id for entry in entries], counts, times, age))

    async def _acknowledge(
        self, ids: Sequence[str], counts: BatchCounts, times: telemetry.BatchTimes, age: float
    ) -> None:
        try:
            await self._source.acknowledge(ids)
        except StreamUnavailable as error:
            # They come again and are found to be stored.
            telemetry.retrying(error, 1, 0.0)
        times.ack = times.lap()
        reach(Failpoint.AFTER_ACK)
        telemetry.batch_committed(STORE_GROUP, counts._asdict(), times, age)


async def serve(settings: Settings) -> None:
    """Run a store worker until SIGTERM or SIGINT. Returns when what was in hand is stored and acknowledged."""
    with stop_on_signals() as stop:
        await run(settings, stop)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run a store worker until `stop` is set; a defect in any of its loops ends all and is raised."""
    name = consumer_name()
    logging.bind(consumer=name)
    redis = connect(settings, blocking=True)
    try:
        pool = await until_available(
            lambda: open_pool(
                settings.database_dsn,
                size=settings.stream_partitions + 1,
                application_name="analytics-worker",
                same_statements=True,
            ),
            stop,
        )
    except StorageUnavailable:
        await redis.aclose()
        return
    conflicts = ConflictCounter(pool, lambda: read_key_changes(redis))
    writer = BatchWriter(pool, zlib.crc32(name.encode()), conflicts.add)
    policy = BatchPolicy(settings.batch_size, settings.flush_interval, settings.flush_linger_ms)
    limits = BreakerPolicy(
        settings.dead_letter_max_ratio, settings.dead_letter_max_consecutive, settings.dead_letter_window
    )
    checks = [Check("redis", lambda: ping_stream(redis)), Check("postgres", lambda: ping_storage(pool))]
    try:
        loops = [conflicts.run(stop)]
        for partition in range(settings.stream_partitions):
            consumer = Consumer(redis, partition, STORE_GROUP, name, claim_idle_seconds=settings.claim_idle_seconds)
            store = BatchStore(writer, partition, stop, Breaker(limits))
            loops.append(PartitionWorker(consumer, store, policy, settings.raw_retention, stop).run())
        if settings.metrics_port:
            status = status_application(checks, stop=stop)
            loops.append(serve_http(status, status_listener(settings), stop))
        telemetry.process_started("worker", publish_build())
        await run_together(stop, *loops)
    except* StorageUnavailable:
        # Told to stop during an outage: the entries stay pending and go to the next worker.
        pass
    finally:
        await conflicts.count(stop)
        await pool.close()
        await redis.aclose()
        telemetry.process_stopped("worker")
