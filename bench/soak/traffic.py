"""Mixed traffic at a constant rate that records the outcome of every event: offered, accepted, refused."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

import httpx

from cli.demo.traffic import demo_events
from schemas.identifiers import canonical_event_id

BATCH: Final = 50
SENDERS: Final = 4
_SOURCE: Final = "dev"
"""Source of the key that `analytics up` creates."""
_LONGEST_PAUSE: Final = 5.0


@dataclass
class Score:
    """The outcomes of the events as the senders saw them."""

    offered: set[UUID] = field(default_factory=set)
    accepted: set[UUID] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    """Answers to batches by status. After `no answer` the outcome is unknown, and the batch is sent again."""
    sent_again: int = 0
    repeated: int = 0
    """Number of events offered a second time on purpose."""


class Traffic:
    """Four senders. Each repeats a batch until all its events are accepted, as a robust service does."""

    def __init__(self, url: str, key: str, rate: float, seed: int) -> None:
        self.score = Score()
        self._rng = random.Random(f"traffic {seed}")
        self._rate = rate
        self._seed = seed
        self._client = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=httpx.Timeout(10.0, connect=2.0)
        )

    async def run(self, seconds: float) -> None:
        """Send for `seconds`, then until all begun batches are accepted."""
        start = time.monotonic()
        now = datetime.now(UTC)
        count = int(self._rate * seconds * 1.2) + BATCH
        events = demo_events(self._seed, 500, count, now - timedelta(minutes=1), history_days=20)
        queue: asyncio.Queue[list[dict[str, Any]] | None] = asyncio.Queue(maxsize=SENDERS)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(SENDERS):
                tasks.create_task(self._send(queue))
            due = start
            while time.monotonic() < start + seconds and (batch := list(islice(events, BATCH))):
                self.score.repeated += self._remember(batch)
                await queue.put(batch)
                due += BATCH / self._rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            for _ in range(SENDERS):
                await queue.put(None)
        await self._client.aclose()

    def _remember(self, batch: list[dict[str, Any]]) -> int:
        ids = [canonical_event_id(event["event_id"], _SOURCE) for event in batch]
        known = sum(one in self.score.offered for one in ids)
        self.score.offered.update(ids)
        return known

    async def _send(self, queue: asyncio.Queue[list[dict[str, Any]] | None]) -> None:
        while (batch := await queue.get()) is not None:
            while True:
                pause = await self._post(batch)
                if pause is None:
                    break
                self.score.sent_again += 1
                await asyncio.sleep(min(pause, _LONGEST_PAUSE) * self._rng.uniform(0.5, 1.0))

    async def _post(self, batch: list[dict[str, Any]]) -> float | None:
        """Return None when every event was accepted, else the seconds to wait before sending all again."""
        try:
            reply = await self._client.post("/api/analytics/events/batch", json=batch)
        except httpx.TransportError:
            self.score.answers["no answer"] += 1
            return 1.0
        self.score.answers[str(reply.status_code)] += 1
        if reply.status_code == httpx.codes.ACCEPTED:
            self.score.accepted.update(canonical_event_id(event["event_id"], _SOURCE) for event in batch)
            return None
        if reply.status_code in (429, 503):
            return float(reply.headers.get("Retry-After", "1"))
        raise AssertionError(f"ingest answered {reply.status_code}: {reply.text[:500]}")
