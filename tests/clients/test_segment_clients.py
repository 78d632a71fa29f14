"""Segment's official clients against this ingest: only the host is changed, and ingest is killed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from dashboard.server import open_services
from ingest.segment.messages import UNSUPPORTED
from ingest.segment.unmapped import call_name
from runtime.clock import utc_now
from runtime.embedded.ports import LOOPBACK, any_free
from runtime.settings import Settings
from stream.entries.lag import measure
from stream.keys import stream_key
from stream.registry.unmapped import read_unmapped
from stream.server.connection import Redis
from tests.clients.official import LEARNERS, Client, NotInstallable, node_client, python_client
from tests.support import tools
from tests.support.access import WRITE_KEY
from tests.support.doomed import Doomed
from tests.support.fleet import answers, running
from tests.support.proxy import Proxy
from tests.support.reading import OVERVIEW, READER, answer, client_of
from tests.support.waiting import eventually

EVENTS = 10_000
FEW = 300

NODE = pytest.param("node", marks=[pytest.mark.needs_tool("node"), pytest.mark.needs_tool("npm")])


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Client:
    if request.param != "node":
        return python_client(*request.param.split()[1:])
    try:
        return node_client()
    except NotInstallable as error:
        tools.miss(request.node, "npm packages", str(error))


class Ingest:
    """An ingest that can be killed, at a constant address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._port = any_free()
        self._process: Doomed | None = None
        self.url = f"http://{LOOPBACK}:{self._port}"

    async def start(self) -> None:
        self._process = await Doomed.start("ingest", self._settings, {"ANALYTICS_INGEST_PORT": str(self._port)})
        async with httpx.AsyncClient(base_url=self.url) as client:
            await eventually(lambda: answers(client))

    async def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.end()

    async def stop(self) -> None:
        assert self._process is not None
        assert await self._process.stop() == 0


@asynccontextmanager
async def pipeline(settings: Settings) -> AsyncIterator[Ingest]:
    """An ingest and a worker, each in a separate process."""
    ingest = Ingest(settings)
    async with running(settings, ["worker"], ANALYTICS_BATCH_SIZE="1000"):
        try:
            await ingest.start()
            yield ingest
        finally:
            await ingest.kill()


async def assert_counted_once(settings: Settings, redis: Redis, events: int) -> None:
    async def all_settled() -> bool:
        return (await measure(redis, 0)).oldest_unsettled_at is None

    await eventually(all_settled)
    async with open_services(settings) as services, client_of(services) as dashboard:
        learners = [f"learner-{number}" for number in range(LEARNERS)]
        found = [(await answer(dashboard, OVERVIEW, READER, user_id=name))["total_xp"] for name in learners]
    assert found == [events // LEARNERS] * LEARNERS


@pytest.mark.parametrize("client", ["python", "python --gzip", NODE], indirect=True)
async def test_a_client_needs_nothing_but_another_host(client: Client, settings: Settings, redis: Redis) -> None:
    async with pipeline(settings) as ingest:
        await client.send(ingest.url, WRITE_KEY, FEW)
        await assert_counted_once(settings, redis, FEW)
        # unmapped names are written when it stops
        await ingest.stop()
    names = {one.name: one.times for one in await read_unmapped(redis, utc_now())}
    assert names == {"Quiz Started": 1} | {call_name(call): 1 for call in UNSUPPORTED}


# more connections than Node has batches, so that some fail more than once; Python sends batches one after another
@pytest.mark.parametrize(
    ("client", "failures"), [("python", 4), pytest.param(*NODE.values, 700, marks=NODE.marks)], indirect=["client"]
)
async def test_every_event_counts_once_though_ingest_dies_in_the_middle(
    client: Client, failures: int, settings: Settings, redis: Redis
) -> None:
    async with pipeline(settings) as ingest, Proxy(ingest.url).running() as proxy:
        sending = asyncio.create_task(client.send(proxy.url, WRITE_KEY, EVENTS))

        async def has_begun() -> bool:
            return sending.done() or await redis.xlen(stream_key(0)) > EVENTS // 5

        await eventually(has_begun)
        await ingest.kill()
        assert await redis.xlen(stream_key(0)) < EVENTS
        enough = proxy.lost_connections + failures
        await eventually(lambda: sending.done() or proxy.lost_connections >= enough)
        assert not sending.done()
        await ingest.start()
        await sending
        await assert_counted_once(settings, redis, EVENTS)
        await ingest.stop()
