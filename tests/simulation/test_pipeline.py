"""The state machine, and mutations that prove that it detects faults."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import pytest

from runtime.settings import Settings
from storage.batches import staged_batch, writer
from stream.entries import consumer, trimmer
from stream.entries.entry import EntryId
from stream.keys import stream_key
from stream.server.connection import Redis
from stream.server.failures import translated_errors
from tests.simulation.machine import PipelineMachine
from tests.simulation.search import Search
from tests.simulation.world import Worker, World

STEPS = 30
TRIES = 150
"""Interleavings in which a planted fault is found."""


@pytest.fixture
def search(settings: Settings) -> Iterator[Search]:
    world = World(settings)
    yield Search(PipelineMachine, world, STEPS)
    world.close()


@pytest.mark.timeout(0)
def test_any_interleaving_gives_the_tables_of_the_model(search: Search, request: pytest.FixtureRequest) -> None:
    search.run(request.config.getoption("simulation_examples"))


@pytest.mark.timeout(300)
def test_counting_duplicates_is_noticed(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted = re.compile(r"DELETE (FROM staged_events WHERE .*)\n +RETURNING (.*)\n")
    all_stay, changes = deleted.subn(r"SELECT \2 \1\n", staged_batch.INSERT)
    assert changes == 1
    monkeypatch.setattr(writer, "prepare", lambda: staged_batch.prepare(insert=all_stay))
    search.assert_noticed(TRIES)


@pytest.mark.timeout(300)
def test_acknowledging_before_the_commit_is_noticed(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Worker.read

    async def read_and_acknowledge(self: Worker, *, reply_lost: bool = False) -> None:
        await read(self, reply_lost=reply_lost)
        await self._consumer.acknowledge([entry.id for entry in self._entries] or ["0-1"])

    monkeypatch.setattr(Worker, "read", read_and_acknowledge)
    search.assert_noticed(TRIES)


@pytest.mark.timeout(300)
def test_trimming_by_age_alone_is_noticed(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_is_needed(_redis: Redis, _partition: int, _ignored: Collection[str]) -> EntryId:
        return EntryId(2**60, 0)

    monkeypatch.setattr(trimmer, "lowest_needed", nothing_is_needed)
    search.assert_noticed(TRIES)


@pytest.mark.timeout(300)
def test_a_group_that_starts_at_the_end_is_noticed(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    async def from_now_on(redis: Redis, partition: int, group: str) -> bool:
        with translated_errors():
            await redis.xgroup_create(stream_key(partition), group, id="$", mkstream=True)
        return True

    monkeypatch.setattr(consumer, "ensure_group", from_now_on)
    search.assert_noticed(TRIES)
