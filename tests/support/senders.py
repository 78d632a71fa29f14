"""Correct senders: each repeats an event with the same id until it is accepted."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any

import httpx

from ingest.routes import BATCH
from tests.support.access import WRITE_KEY
from tests.support.events import uuid7
from tests.support.waiting import eventually

CLIENTS = 8
LEARNERS = 7


class Senders:
    """Several clients of one ingest that send concurrently without end."""

    def __init__(self, ingest_url: str, batch_events: int) -> None:
        self.sent: set[str] = set()
        self.accepted: set[str] = set()
        self.answers: Counter[str] = Counter()
        """Number of requests by result: `202`, the code of a refusal, or `no answer`."""
        self._url = ingest_url + BATCH
        self._batch_events = batch_events
        self._numbers = count()
        self._over = False

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send during the block. At its end wait until the last request of each client is accepted.

        An answer that no sender may get ends the block at once.
        """
        headers = {"Authorization": f"Bearer {WRITE_KEY}"}
        async with httpx.AsyncClient(headers=headers, timeout=30) as client, asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._send(client))
            yield
            self._over = True

    async def accepted_more(self, events: int) -> None:
        """Wait until `events` more events are accepted."""
        wanted = len(self.accepted) + events
        await eventually(lambda: len(self.accepted) >= wanted)

    async def refused_more(self, requests: int) -> None:
        """Wait until `requests` more requests are refused with a Retry-After."""
        wanted = self.refusals + requests
        await eventually(lambda: self.refusals >= wanted)

    @property
    def refusals(self) -> int:
        """Number of requests that were refused temporarily."""
        return sum(number for answer, number in self.answers.items() if answer not in ("202", "no answer"))

    async def _send(self, client: httpx.AsyncClient) -> None:
        while not self._over:
            events = [self._event(next(self._numbers)) for _ in range(self._batch_events)]
            ids = {event["event_id"] for event in events}
            self.sent |= ids
            await eventually(partial(self._is_accepted, client, events))
            self.accepted |= ids

    async def _is_accepted(self, client: httpx.AsyncClient, events: list[dict[str, Any]]) -> bool:
        try:
            answer = await client.post(self._url, json=events)
        except httpx.TransportError:
            self.answers["no answer"] += 1
            return False
        if answer.status_code != 202:
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            self.answers[answer.json()["code"]] += 1
            return False
        self.answers["202"] += 1
        return True

    @staticmethod
    def _event(number: int) -> dict[str, Any]:
        return {
            "event_type": "xp_earned",
            "event_id": str(uuid7(datetime.now(UTC), number)),
            "user_id": f"learner-{number % LEARNERS}",
            "properties": {"xp_amount": number % 10},
        }
