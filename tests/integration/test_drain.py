"""After SIGTERM a service drains: it is not ready, still answers, and asks its clients to go elsewhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from cli.local.embedded.ports import LOOPBACK, any_free
from ingest.routes import TRACK
from runtime.lifecycle import Shutdown
from runtime.settings import Settings
from stream.server.connection import Redis
from tests.support.access import WRITE_KEY
from tests.support.doomed import Doomed
from tests.support.raw_http import HOST, get
from tests.support.reading import bearer
from tests.support.serving import served
from tests.support.waiting import eventually

EVENT = {"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 5}}
NEVER = "300"
"""Seconds of a drain that only a second signal ends."""


class App:
    """Answers each request once it may. Requests of the path `/begun` are answered in part at once."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
        if scope["path"] == "/begun":
            await send(start)
            await self.may_answer.wait()
        else:
            await self.may_answer.wait()
            await send(start)
        await send({"type": "http.response.body", "body": b"ok"})


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, place: str) -> Client:
        host, _, port = place.partition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    def ask(self, *paths: str) -> None:
        self._writer.write(b"".join(get(path, more=HOST) for path in paths))

    async def closes(self) -> bool:
        """Read one answer; return whether it says that the connection closes."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert await self._reader.readexactly(2) == b"ok"
        return b"connection: close" in head.lower()

    async def is_over(self) -> bool:
        """Wait for the next byte; return whether there is none."""
        try:
            return not await self._reader.read(1)
        except ConnectionResetError:
            return True

    def leave(self) -> None:
        self._writer.close()


@pytest.fixture
def shutdown() -> Shutdown:
    return Shutdown(float(NEVER))


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def place(app: App, shutdown: Shutdown) -> AsyncIterator[str]:
    async with served(app, shutdown=shutdown) as address:
        yield address


async def test_new_connections_are_served_during_the_drain_and_end_after_an_answer(
    place: str, app: App, shutdown: Shutdown
) -> None:
    app.may_answer.set()
    shutdown.begin()
    client = await Client.to(place)
    client.ask("/")
    assert await client.closes()
    assert await client.is_over()
    client.leave()


async def test_an_idle_connection_stays_open_until_its_next_answer(place: str, app: App, shutdown: Shutdown) -> None:
    app.may_answer.set()
    client = await Client.to(place)
    client.ask("/")
    assert not await client.closes()
    shutdown.begin()
    # a further connection is served only after the drain has begun
    another = await Client.to(place)
    another.ask("/")
    assert await another.closes()
    client.ask("/")
    assert await client.closes()
    assert await client.is_over()
    for one in (client, another):
        one.leave()


async def test_an_idle_connection_is_closed_by_the_stop(place: str, app: App, shutdown: Shutdown) -> None:
    app.may_answer.set()
    client = await Client.to(place)
    client.ask("/")
    assert not await client.closes()
    shutdown.begin()
    shutdown.stop.set()
    assert await client.is_over()
    client.leave()


async def test_a_request_in_flight_at_the_signal_is_answered_and_then_its_connection_ends(
    place: str, app: App, shutdown: Shutdown
) -> None:
    client = await Client.to(place)
    client.ask("/")
    await eventually(lambda: app.asked)
    shutdown.begin()
    await asyncio.sleep(0)
    app.may_answer.set()
    assert await client.closes()
    assert await client.is_over()
    client.leave()


async def test_a_connection_whose_answer_has_begun_ends_after_the_next_one(
    place: str, app: App, shutdown: Shutdown
) -> None:
    client = await Client.to(place)
    client.ask("/begun")
    await eventually(lambda: app.asked)
    shutdown.begin()
    await asyncio.sleep(0)
    app.may_answer.set()
    assert not await client.closes(), "its head was sent before"
    client.ask("/")
    assert await client.closes()
    client.leave()


async def test_requests_that_wait_for_an_earlier_answer_are_answered_too(
    place: str, app: App, shutdown: Shutdown
) -> None:
    client = await Client.to(place)
    client.ask("/", "/")
    await eventually(lambda: app.asked)
    shutdown.begin()
    await asyncio.sleep(0)
    app.may_answer.set()
    assert [await client.closes() for _ in range(2)] == [False, True]
    assert await client.is_over()
    client.leave()


async def test_ingest_drains_after_the_first_signal_and_ends_at_the_second(settings: Settings, redis: Redis) -> None:
    port = any_free()
    url = f"http://{LOOPBACK}:{port}"
    ingest = await Doomed.start(
        "ingest", settings, {"ANALYTICS_INGEST_PORT": str(port), "ANALYTICS_DRAIN_SECONDS": NEVER}
    )
    async with httpx.AsyncClient(base_url=url) as client:

        async def readiness() -> tuple[int, list[str]] | None:
            try:
                reply = await client.get("/readyz")
            except httpx.TransportError:
                return None
            return reply.status_code, [check["detail"] for check in reply.json()["checks"] if not check["ok"]]

        async def is_ready() -> bool:
            return await readiness() == (200, [])

        async def is_draining() -> bool:
            return await readiness() == (503, ["draining"])

        await eventually(is_ready)
        ingest.ask()
        await eventually(is_draining)
        accepted = await client.post(TRACK, json=EVENT, headers=bearer(WRITE_KEY))
        assert (accepted.status_code, accepted.headers["connection"]) == (202, "close")

        await redis.config_resetstat()
        # the load of Redis is still measured, so that events are refused in time
        await eventually(lambda: _is_called(redis, "xinfo|groups"))
    ingest.ask()
    assert await ingest.end() == 128 + signal.SIGTERM


async def test_ingest_ends_by_itself_after_the_drain(settings: Settings) -> None:
    port = any_free()
    ingest = await Doomed.start(
        "ingest", settings, {"ANALYTICS_INGEST_PORT": str(port), "ANALYTICS_DRAIN_SECONDS": "0.2"}
    )
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:

        async def answers() -> bool:
            try:
                return (await client.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(answers)
        assert await ingest.stop() == 0


async def _is_called(redis: Redis, command: str) -> bool:
    return f"cmdstat_{command}" in await redis.info("commandstats")
