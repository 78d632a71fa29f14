"""Ingest, workers and maintenance as processes of their own, on servers that a test may hurt."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator, Sequence

import httpx

from cli.local.embedded.ports import LOOPBACK, any_free
from runtime.settings import Settings
from tests.support.doomed import Doomed
from tests.support.senders import Senders
from tests.support.waiting import eventually

EAGER = {"ANALYTICS_BATCH_SIZE": "50", "CLAIM_IDLE_SECONDS": "0.5"}
"""Of workers that soon take over what another one left."""


@contextlib.asynccontextmanager
async def running(settings: Settings, services: Sequence[str], **environment: str) -> AsyncIterator[list[Doomed]]:
    """Run services for the block; each must end in order then."""
    started = [await Doomed.start(service, settings, EAGER | environment) for service in services]
    try:
        yield started
        for doomed in started:
            # a process that has only just started does not listen for signals yet
            assert await doomed.stop() in (0, -signal.SIGTERM)
    finally:
        for doomed in started:
            doomed.kill()
            await doomed.end()


@contextlib.asynccontextmanager
async def ingest_with_senders(settings: Settings, *, batch_events: int = 5) -> AsyncIterator[Senders]:
    """Run an ingest for the block, with senders that begin at once and are all accepted at its end."""
    port = any_free()
    url = f"http://{LOOPBACK}:{port}"
    async with running(settings, ["ingest"], ANALYTICS_INGEST_PORT=str(port)):
        async with httpx.AsyncClient(base_url=url) as client:
            await eventually(lambda: answers(client))
        senders = Senders(url, batch_events)
        async with senders.sending():
            yield senders


async def answers(client: httpx.AsyncClient) -> bool:
    """Return whether the process is up."""
    try:
        return (await client.get("/livez")).status_code == 200
    except httpx.TransportError:
        return False
