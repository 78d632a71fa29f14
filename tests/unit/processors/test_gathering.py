"""Without a backlog, a worker reads a few times per batch, not once per entry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from processors.live.worker import Erased, LiveWorker
from processors.store.batch import GATHER_MS, BatchPolicy
from processors.store.breaker import Breaker, BreakerPolicy
from processors.store.poison_isolation import PoisonIsolatingWriter
from processors.store.worker import PartitionWorker
from storage.batches.batch import BatchCounts, DeadLetter, ReceivedEvent
from stream.entries.entry import Entry
from stream.live.publisher import Move, Publication, Published
from tests.support.events import event
from tests.support.poison import fields_of


class Trickle:
    """Returns one more entry per read; records how many were settled together."""

    def __init__(self) -> None:
        self.number = 0
        self.settled: list[int] = []
        self.is_settled = asyncio.Event()

    async def join(self) -> None: ...

    async def read(self, _count: int, _block_ms: int) -> list[Entry]:
        self.number += 1
        return [Entry(f"{self.number}-0", fields_of(event("session_start", number=self.number)))]

    async def acknowledge(self, ids: Sequence[str]) -> None:
        self.settled.append(len(ids))
        self.is_settled.set()


class Stored:
    """A writer that stores everything."""

    async def write(
        self, _partition: int, events: Sequence[ReceivedEvent], _letters: Sequence[DeadLetter]
    ) -> BatchCounts:
        return BatchCounts(len(events), 0, 0, 0, 0)

    async def rehearse(self, _partition: int, _events: Sequence[ReceivedEvent]) -> None: ...


async def test_reads_are_spaced() -> None:
    source, stop = Trickle(), asyncio.Event()
    isolating = PoisonIsolatingWriter(Stored(), 0, stop, Breaker(BreakerPolicy(0, 0, 1)))
    policy = BatchPolicy(size=1_000, interval=60, linger_ms=5 * GATHER_MS)
    working = asyncio.create_task(PartitionWorker(source, isolating, policy, timedelta(days=90)).run(stop))
    await source.is_settled.wait()
    stop.set()
    await working
    # the first read, and one after each pause
    assert source.settled[0] <= 1 + 5 + 1


class Listeners:
    """An outlet that stops the worker at the first publication."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self.published = 0

    async def publish(self, _move: Move, publications: Sequence[Publication]) -> Published:
        self.published += len(publications)
        self._stop.set()
        return Published(len(publications), 0)


class LiveTrickle:
    """Returns one more entry per read."""

    def __init__(self) -> None:
        self.number = 0

    async def lead(self) -> str | None:
        return "0-0"

    async def resign(self) -> None: ...

    async def read(self, _after: str, _count: int, _block_ms: int) -> list[Entry]:
        self.number += 1
        return [Entry(f"{self.number}-0", fields_of(event("session_start", number=self.number)))]


async def test_a_live_worker_that_took_all_there_was_lets_some_come() -> None:
    source, stop = LiveTrickle(), asyncio.Event()
    outlet = Listeners(stop)
    await LiveWorker(source, outlet, Erased()).run(stop)
    assert source.number == outlet.published == 1
