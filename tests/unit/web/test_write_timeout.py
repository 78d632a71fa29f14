"""A client that reads nothing is disconnected; one that reads slowly is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.waiting import eventually
from web.server.write_timeout import WriteWatchdog


class Transport(asyncio.Transport):
    """A transport whose client reads a given amount before each check."""

    def __init__(self, waiting: int, takes: Callable[[], int]) -> None:
        super().__init__()
        self.waiting = waiting
        self.looked_at = 0
        self.is_aborted = False
        self._takes = takes

    def get_write_buffer_size(self) -> int:
        self.looked_at += 1
        self.waiting -= self._takes()
        return self.waiting

    def abort(self) -> None:
        self.is_aborted = True


async def test_a_client_that_reads_nothing_is_disconnected() -> None:
    transport = Transport(1_000, lambda: 0)
    WriteWatchdog(transport, 0.01).begin()
    await eventually(lambda: transport.is_aborted)


async def test_a_client_that_reads_slowly_is_kept() -> None:
    transport = Transport(1_000_000, lambda: 1)
    writes = WriteWatchdog(transport, 0.001)
    writes.begin()
    await eventually(lambda: transport.looked_at > 20)
    writes.end()
    assert not transport.is_aborted


async def test_a_finished_write_is_no_longer_watched() -> None:
    transport = Transport(1_000, lambda: 0)
    writes, other = WriteWatchdog(transport, 0.001), Transport(1_000, lambda: 0)
    writes.begin()
    writes.end()
    WriteWatchdog(other, 0.002).begin()
    await eventually(lambda: other.is_aborted)
    assert not transport.is_aborted


async def test_at_the_end_of_the_process_only_what_waits_is_watched() -> None:
    stalled, idle = Transport(1_000, lambda: 0), Transport(0, lambda: 0)
    for transport in (stalled, idle):
        WriteWatchdog(transport, 0.001).hurry()
    await eventually(lambda: stalled.is_aborted)
    assert not idle.is_aborted
