"""The store worker: moves entries of the stream into the database, batch by batch.

    collect -> decode -> write, one transaction -> acknowledge

Batches overlap: while one is written, the next one is collected and decoded, and the one before is acknowledged. Within
a partition, batches are written one at a time, and an entry is acknowledged only after the commit of its batch. Entries
that cannot be written stay pending in the stream and go to the next worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from processors.consumer_name import consumer_name
from processors.retry import until_available
from processors.stage import Stage
from processors.store.batch import Batch, BatchPolicy
from processors.store.breaker import Breaker, BreakerPolicy
from processors.store.decode import StorableRange, decode_entries
from processors.store.id_conflicts import ConflictCounter
from processors.store.poison_isolation import PoisonIsolatingWriter
from runtime.clock import utc_now
from runtime.errors import StorageUnavailable, StreamUnavailable
from runtime.failpoints import Failpoint, reach
from runtime.lifecycle import run_together, stop_on_signals, wait
from runtime.settings import Settings
from storage.batches.batch import BatchCounts, DeadLetter, ReceivedEvent
from storage.batches.writer import BatchWriter
from storage.database.health import ping as ping_storage
from storage.database.pool import open_pool
from stream.entries.consumer import Consumer
from stream.entries.entry import Entry
from stream.keys import STORE_GROUP
from stream.registry.key_changes import read_key_changes
from stream.server.connection import connect
from stream.server.health import primary
from telemetry import internal_events as telemetry
from telemetry import logging
from telemetry.exposition import publish_process
from telemetry.health import Check, Readiness
from telemetry.labels import BatchStage
from telemetry.process_facts import measure_process
from telemetry.roles import Role
from web.server.http_server import serve_http
from web.server.listener import status_listener
from web.status import status_application

_DECODED_AT_ONCE: Final = 100
"""Entries decoded before other tasks may run: a fraction of a millisecond."""


class Source(Protocol):
    """Where entries come from."""

    async def join(self) -> None:
        """Prepare for reading. Raises StreamUnavailable."""

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Return up to `count` entries; none if none arrive within `block_ms`. Raises StreamUnavailable."""

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Settle entries for good. Raises StreamUnavailable."""


class DecodedBatch(NamedTuple):
    """The entries of a batch, by id in the order of the stream, and the event or dead letter of each."""

    entries: dict[str, Entry]
    events: list[ReceivedEvent]
    letters: list[DeadLetter]
    times: telemetry.StageTimes


class WrittenBatch(NamedTuple):
    """A batch that was committed."""

    batch: DecodedBatch
    counts: BatchCounts
    committed_at: datetime


class PartitionWorker:
    """Moves the entries of one partition into the database."""

    def __init__(
        self, source: Source, writer: PoisonIsolatingWriter, policy: BatchPolicy, raw_retention: timedelta
    ) -> None:
        self._source = source
        self._writer = writer
        self._policy = policy
        self._raw_retention = raw_retention
        self._writing = Stage(self._write)
        self._acknowledging = Stage(self._acknowledge)

    async def run(self, stop: asyncio.Event) -> None:
        """Process batches until `stop` is set, then finish those in hand.

        Raises StorageUnavailable if they cannot be written, and DeadLetterLimitReached; the entries then stay pending.
        """
        with contextlib.suppress(StreamUnavailable):
            await until_available(self._source.join, stop)
        async with self._acknowledging, self._writing:
            while not stop.is_set():
                batch = await self._collect(stop)
                if batch.entries:
                    await self._writing.submit(await self._decode(batch))
                await self._writing.check()
                await self._acknowledging.check()

    async def _collect(self, stop: asyncio.Event) -> Batch:
        """Return the next batch once it is due. Once `stop` is set, return what is in hand.

        Returns an empty batch if nothing arrives for a second, so that errors of other stages are noticed.
        """
        batch = Batch(self._policy)
        while not stop.is_set():
            plan = batch.next_read(time.monotonic())
            if plan.pause_ms and await wait(stop, plan.pause_ms / 1000):
                break
            batch.add(await self._read(plan.count, plan.block_ms, stop), time.monotonic())
            if not batch.entries or batch.is_due(time.monotonic()):
                break
        return batch

    async def _read(self, count: int, block_ms: int, stop: asyncio.Event) -> list[Entry]:
        try:
            entries = await until_available(lambda: self._source.read(count, block_ms), stop)
        except StreamUnavailable:
            # `stop` was set during an outage of the stream: what is in hand can still be written
            return []
        if entries:
            reach(Failpoint.AFTER_READ)
        return entries

    async def _decode(self, batch: Batch) -> DecodedBatch:
        """Return the decoded batch. Other tasks run in between: the database may wait for the next statement."""
        decoded = DecodedBatch({entry.id: entry for entry in batch.entries}, [], [], telemetry.StageTimes())
        decoded.times.seconds[BatchStage.READ] = time.monotonic() - batch.opened_at
        storable = StorableRange.around(utc_now(), self._raw_retention)
        with decoded.times.measure(BatchStage.DECODE):
            for start in range(0, len(batch.entries), _DECODED_AT_ONCE):
                events, letters = decode_entries(batch.entries[start : start + _DECODED_AT_ONCE], storable)
                decoded.events.extend(events)
                decoded.letters.extend(letters)
                await asyncio.sleep(0)
        reach(Failpoint.AFTER_DECODE)
        return decoded

    async def _write(self, batch: DecodedBatch) -> None:
        with batch.times.measure(BatchStage.WRITE):
            counts = await self._writer.write(batch.events, batch.letters, batch.entries)
        reach(Failpoint.AFTER_COMMIT)
        await self._acknowledging.submit(WrittenBatch(batch, counts, utc_now()))

    async def _acknowledge(self, written: WrittenBatch) -> None:
        batch, counts, committed_at = written
        with batch.times.measure(BatchStage.ACK):
            try:
                await self._source.acknowledge(list(batch.entries))
            except StreamUnavailable as error:
                # the entries are delivered again and recognised as stored
                telemetry.retrying(error, 1, 0.0)
        reach(Failpoint.AFTER_ACK)
        oldest = min((event.received_at for event in batch.events), default=None)
        oldest_age = (committed_at - datetime.fromisoformat(oldest)).total_seconds() if oldest else 0.0
        telemetry.batch_committed(counts._asdict(), batch.times, oldest_age)


async def serve(settings: Settings) -> None:
    """Run a store worker until SIGTERM or SIGINT. Returns once the batches in hand are stored and acknowledged."""
    with stop_on_signals() as stop:
        await run(settings, stop)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run a store worker until `stop` is set. A defect in one of its loops ends all of them and is raised."""
    name = consumer_name()
    logging.bind(consumer=name)
    # each partition writes one batch at a time; one more counts conflicts
    pool_size = settings.stream_partitions + 1
    redis = connect(settings, blocking=True, role="worker", database_connections=pool_size)
    try:
        pool = await until_available(
            lambda: open_pool(
                settings.database_dsn,
                size=pool_size,
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
    readiness = Readiness([Check("redis", lambda: primary(redis)), Check("postgres", lambda: ping_storage(pool))])
    try:
        loops = [conflicts.run(stop), measure_process(readiness, stop)]
        for partition in range(settings.stream_partitions):
            consumer = Consumer(redis, partition, STORE_GROUP, name, claim_idle_seconds=settings.claim_idle_seconds)
            isolating = PoisonIsolatingWriter(writer, partition, stop, Breaker(limits))
            loops.append(PartitionWorker(consumer, isolating, policy, settings.raw_retention).run(stop))
        if settings.metrics_port:
            status = status_application(Role.WORKER, readiness, stop=stop)
            loops.append(serve_http(status, status_listener(settings), stop))
        telemetry.process_started(Role.WORKER, publish_process(settings))
        await run_together(stop, *loops)
    except* StorageUnavailable:
        # `stop` was set during an outage: the entries stay pending and go to the next worker
        pass
    finally:
        try:
            await conflicts.count(stop)
        finally:
            await pool.close()
            await redis.aclose()
            telemetry.process_stopped(Role.WORKER)
