"""Ingest, workers and maintenance as separate processes, on servers that a test may damage."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator, Sequence

import httpx

from runtime.embedded.ports import LOOPBACK, any_free
from runtime.settings import Settings
from tests.support.doomed import Doomed
from tests.support.senders import Senders
from tests.support.waiting import eventually

EAGER = {"ANALYTICS_BATCH_SIZE": "50", "CLAIM_IDLE_SECONDS": "0.5"}
"""Environment of workers that soon claim what another one left."""


@contextlib.asynccontextmanager
async def running(settings: Settings, services: Sequence[str], **environment: str) -> AsyncIterator[list[Doomed]]:
    """Run services for the block. Each must then end in order."""
    started = [await Doomed.start(service, settings, EAGER | environment) for service in services]
    try:
        yield started
        for doomed in started:
            # a process that has just started has no signal handlers yet
            assert await doomed.stop() in (0, -signal.SIGTERM)
    finally:
        for doomed in started:
            doomed.kill()
            await doomed.end()


@contextlib.asynccontextmanager
async def ingest_with_senders(settings: Settings, *, batch_events: int = 5) -> AsyncIterator[Senders]:
    """Run ingest for the block, with senders that begin at once. At the end all their events must be accepted."""
    port = any_free()
    url = f"http://{LOOPBACK}:{port}"
    async with running(settings, ["ingest"], ANALYTICS_INGEST_PORT=str(port)):
        async with httpx.AsyncClient(base_url=url) as client:
            await eventually(lambda: answers(client))
        senders = Senders(url, batch_events)
        async with senders.sending():
            yield senders


async def answers(client: httpx.AsyncClient) -> bool:
    """Return whether the process answers."""
    try:
        return (await client.get("/livez")).status_code == 200
    except httpx.TransportError:
        return False
