"""Sends a scenario to ingest over HTTP, in batches of any size, and returns what the oracle needs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from uuid import UUID

import httpx

from tests.oracle.history import Sent
from tests.oracle.scenario import Event
from tests.support.access import WRITE_KEY

BATCH = "/api/analytics/events/batch"
AT_ONCE = 4
"""Concurrent requests of one sender, where their order does not matter."""


async def send_in_order(url: str, events: Sequence[Event], rng: random.Random, *, key: int = 0) -> list[Sent]:
    """Send the batches one after another; every event must be accepted. Return them in order."""
    sent: list[Sent] = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for batch in batches(events, rng):
            sent += await _send(client, batch, key)
    return sent


async def send_at_once(url: str, events: Sequence[Event], rng: random.Random, *, key: int = 0) -> list[Sent]:
    """Send batches concurrently. No two of the events may have the same id and different content."""
    places = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def send(batch: Sequence[Event]) -> list[Sent]:
            async with places:
                return await _send(client, batch, key)

        found = await asyncio.gather(*map(send, batches(events, rng)))
    return [sent for batch in found for sent in batch]


def batches(events: Sequence[Event], rng: random.Random) -> list[Sequence[Event]]:
    """Return the events in slices of random length."""
    pieces, at = [], 0
    while at < len(events):
        size = rng.choice((1, 7, 60, 200))
        pieces.append(events[at : at + size])
        at += size
    return pieces


async def _send(client: httpx.AsyncClient, batch: Sequence[Event], key: int) -> list[Sent]:
    headers = {"Authorization": f"Bearer {WRITE_KEY}"}
    while True:
        reply = await client.post(BATCH, json={"events": list(batch)}, headers=headers)
        if reply.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        await asyncio.sleep(float(reply.headers["Retry-After"]))
    assert reply.status_code == httpx.codes.ACCEPTED, [
        (verdict, batch[verdict["index"]]) for verdict in reply.json()["results"] if verdict["status"] != "accepted"
    ]
    verdicts = reply.json()["results"]
    return [Sent(event, UUID(verdict["event_id"]), key) for event, verdict in zip(batch, verdicts, strict=True)]
