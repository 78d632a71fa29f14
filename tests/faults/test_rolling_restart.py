"""Every process is restarted behind haproxy under load: no request fails, no event is lost or seen twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
import pytest
from studyin_analytics.bus import EventBus

from ingest.routes import BATCH
from runtime.settings import Settings
from tests.support.access import EVENTS_KEY, WRITE_KEY
from tests.support.checker import assert_nothing_lost
from tests.support.events import uuid7
from tests.support.reading import OVERVIEW, READER, bearer
from tests.support.replicas import Deployment, deployed
from tests.support.waiting import eventually

EVENTS_PER_SECOND = 2_000
BATCH_EVENTS = 10
SENDERS = 10
READERS = 4
READS_PER_SECOND = 40
LEARNERS = 100


class Clients:
    """Keep-alive clients at a held rate. They repeat nothing, so that no failure is hidden."""

    def __init__(self, deployment: Deployment) -> None:
        self.accepted: list[str] = []
        self.answers: Counter[str] = Counter()
        """Number of requests by service and status, or by error."""
        self._deployment = deployment
        self._numbers = count()
        self._over = False

    @contextlib.asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Send and read during the block."""
        async with contextlib.AsyncExitStack() as stack:
            tasks = []
            for per_second, number, url, turn in (
                (EVENTS_PER_SECOND / BATCH_EVENTS, SENDERS, self._deployment.ingest, self._send),
                (READS_PER_SECOND, READERS, self._deployment.dashboard, self._read),
            ):
                for _ in range(number):
                    # one connection each
                    client = await stack.enter_async_context(
                        httpx.AsyncClient(base_url=url, timeout=30, limits=httpx.Limits(max_connections=1))
                    )
                    tasks.append(asyncio.create_task(self._repeat(turn, client, number / per_second)))
            try:
                yield
            finally:
                self._over = True
                await asyncio.gather(*tasks)

    async def _repeat(self, turn: Callable[[httpx.AsyncClient], Awaitable[str]], client: Any, seconds: float) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while not self._over:
            try:
                self.answers[await turn(client)] += 1
            except httpx.TransportError as error:
                self.answers[f"{type(error).__name__} of {client.base_url}"] += 1
            due += seconds
            await asyncio.sleep(max(0.0, due - clock()))

    async def _send(self, client: httpx.AsyncClient) -> str:
        events = [self._event(next(self._numbers)) for _ in range(BATCH_EVENTS)]
        answer = await client.post(BATCH, json=events, headers=bearer(WRITE_KEY))
        if answer.status_code == 202:
            self.accepted += [event["event_id"] for event in events]
        return f"ingest {answer.status_code}"

    async def _read(self, client: httpx.AsyncClient) -> str:
        answer = await client.get(
            OVERVIEW, params={"user_id": f"learner-{next(self._numbers) % LEARNERS}"}, headers=READER
        )
        return f"dashboard {answer.status_code}"

    @staticmethod
    def _event(number: int) -> dict[str, Any]:
        return {
            "event_type": "xp_earned",
            "event_id": str(uuid7(datetime.now(UTC), number)),
            "user_id": f"learner-{number % LEARNERS}",
            "properties": {"xp_amount": number % 10},
        }


class Subscriber:
    """A live subscriber behind haproxy."""

    def __init__(self, url: str) -> None:
        self.seen: list[str] = []
        self.gaps = 0
        self._bus = EventBus(url, key=EVENTS_KEY)
        self._bus.on_gap(self._count_gap)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen during the block, which begins once the subscriber receives new events."""
        task = asyncio.create_task(self._listen())
        try:
            await eventually(lambda: self._bus.last_id is not None)
            yield
        finally:
            self._bus.stop()
            await task

    async def _listen(self) -> None:
        async for event in self._bus.events():
            self.seen.append(str(event.event_id))

    def _count_gap(self, _gap: object) -> None:
        self.gaps += 1


@pytest.mark.needs_tool("haproxy")
@pytest.mark.timeout(180)
async def test_a_rolling_restart_of_every_process_fails_no_request(settings: Settings) -> None:
    async with deployed(settings) as deployment:
        clients, subscriber = Clients(deployment), Subscriber(deployment.dashboard)
        async with subscriber.listening():
            async with clients.busy():
                await eventually(lambda: subscriber.seen)
                await deployment.restart()
            await assert_nothing_lost(settings, clients.accepted, clients.accepted, parked=0)
            await eventually(lambda: len(subscriber.seen) >= len(clients.accepted) or subscriber.gaps)
        assert set(clients.answers) == {"ingest 202", "dashboard 200"}
        assert subscriber.gaps == 0
        assert sorted(subscriber.seen) == sorted(clients.accepted)
