"""While the database stores a batch, the worker reads and decodes the next one and acknowledges the previous one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from processors.store.batch import BatchPolicy
from processors.store.breaker import Breaker, BreakerPolicy
from processors.store.poison_isolation import PoisonIsolatingWriter
from processors.store.worker import PartitionWorker
from storage.batches.batch import BatchCounts, DeadLetter, ReceivedEvent
from stream.entries.entry import Entry
from tests.support.events import event
from tests.support.poison import fields_of
from tests.support.waiting import eventually

SIZE = 3


class Backlog:
    """Returns as many entries as requested; records what was acknowledged."""

    def __init__(self) -> None:
        self.number = 0
        self.reads = 0
        self.acknowledged: list[str] = []

    async def join(self) -> None: ...

    async def read(self, count: int, _block_ms: int) -> list[Entry]:
        await asyncio.sleep(0)
        self.reads += 1
        first, self.number = self.number + 1, self.number + count
        return [
            Entry(f"{number}-0", fields_of(event("session_start", number=number)))
            for number in range(first, first + count)
        ]

    async def acknowledge(self, ids: Sequence[str]) -> None:
        self.acknowledged += ids


class SlowDatabase:
    """Stores the first batch only after the next one was read."""

    def __init__(self, source: Backlog, stop: asyncio.Event) -> None:
        self.stored: list[str] = []
        self._source = source
        self._stop = stop
        self._is_busy = False

    async def write(
        self, _partition: int, events: Sequence[ReceivedEvent], _letters: Sequence[DeadLetter]
    ) -> BatchCounts:
        assert not self._is_busy
        self._is_busy = True
        await eventually(lambda: self._source.reads > 1)
        self._stop.set()
        self._is_busy = False
        self.stored += [received.entry_id for received in events]
        return BatchCounts(len(events), 0, 0, 0, 0)

    async def rehearse(self, _partition: int, _events: Sequence[ReceivedEvent]) -> None: ...


async def test_the_next_batch_is_read_meanwhile_and_stored_after() -> None:
    source, stop = Backlog(), asyncio.Event()
    database = SlowDatabase(source, stop)
    isolating = PoisonIsolatingWriter(database, 0, stop, Breaker(BreakerPolicy(0, 0, 1)))
    await PartitionWorker(source, isolating, BatchPolicy(SIZE, 60, 60_000), timedelta(days=90)).run(stop)
    assert database.stored == source.acknowledged == [f"{number}-0" for number in range(1, source.number + 1)]
    # one being stored, one in hand
    assert source.reads == 2


class SlowAcknowledgement(Backlog):
    """Acknowledges the first batch only after the second one is stored. Fails for a batch that is not stored."""

    def __init__(self, stop: asyncio.Event) -> None:
        super().__init__()
        self.database = Database()
        self._stop = stop

    async def acknowledge(self, ids: Sequence[str]) -> None:
        assert set(ids) <= set(self.database.stored)
        if not self.acknowledged:
            await eventually(lambda: len(self.database.stored) >= 2 * SIZE)
            self._stop.set()
        await super().acknowledge(ids)


class Database:
    """Stores at once."""

    def __init__(self) -> None:
        self.stored: list[str] = []

    async def write(
        self, _partition: int, events: Sequence[ReceivedEvent], _letters: Sequence[DeadLetter]
    ) -> BatchCounts:
        self.stored += [received.entry_id for received in events]
        return BatchCounts(len(events), 0, 0, 0, 0)

    async def rehearse(self, _partition: int, _events: Sequence[ReceivedEvent]) -> None: ...


async def test_a_batch_is_acknowledged_while_the_next_one_is_stored_in_order_and_never_before() -> None:
    stop = asyncio.Event()
    source = SlowAcknowledgement(stop)
    isolating = PoisonIsolatingWriter(source.database, 0, stop, Breaker(BreakerPolicy(0, 0, 1)))
    await PartitionWorker(source, isolating, BatchPolicy(SIZE, 60, 60_000), timedelta(days=90)).run(stop)
    assert source.acknowledged == source.database.stored
    assert source.acknowledged == [f"{number}-0" for number in range(1, source.number + 1)]


class Silence(Backlog):
    """Returns one batch, then nothing."""

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        if self.reads:
            await asyncio.sleep(0)
            return []
        return await super().read(count, block_ms)


class Defect(Exception):
    """Raised by a database that is broken."""


class BrokenDatabase(Database):
    """Stores nothing."""

    async def write(
        self, _partition: int, _events: Sequence[ReceivedEvent], _letters: Sequence[DeadLetter]
    ) -> BatchCounts:
        raise Defect


async def test_a_failed_write_ends_the_worker_although_nothing_more_arrives() -> None:
    source, stop = Silence(), asyncio.Event()
    isolating = PoisonIsolatingWriter(BrokenDatabase(), 0, stop, Breaker(BreakerPolicy(0, 0, 1)))
    with pytest.raises(Defect):
        await PartitionWorker(source, isolating, BatchPolicy(SIZE, 60, 60_000), timedelta(days=90)).run(stop)
    assert source.acknowledged == []


class BrokenAcknowledgement(Silence):
    """Fails to acknowledge."""

    async def acknowledge(self, ids: Sequence[str]) -> None:
        raise Defect


async def test_a_failed_acknowledgement_ends_the_worker_although_nothing_more_arrives() -> None:
    stop = asyncio.Event()
    isolating = PoisonIsolatingWriter(Database(), 0, stop, Breaker(BreakerPolicy(0, 0, 1)))
    worker = PartitionWorker(BrokenAcknowledgement(), isolating, BatchPolicy(SIZE, 60, 60_000), timedelta(days=90))
    with pytest.raises(Defect):
        await worker.run(stop)
