"""Operation of live connections: hostile clients, shutdown, and metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest

from cli.local.embedded.ports import LOOPBACK, any_free
from dashboard.live.hub import MEMORY
from runtime.clock import utc_now
from runtime.lifecycle import Shutdown
from runtime.settings import Settings
from stream.server.connection import Redis
from telemetry import metrics
from tests.support.following import FAST, LIVE, SERVICE, SSE, Service, about, closed, following, received, said
from tests.support.timeline import publish
from tests.support.waiting import eventually
from web.server import http_server, write_timeout
from web.server.http_server import GRACE_SECONDS
from web.server.websocket_protocol import MAX_MESSAGE_BYTES


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    async with following(settings) as service:
        yield service


async def test_messages_of_a_client_are_discarded(service: Service, settings: Settings, redis: Redis) -> None:
    async with service.socket() as socket:
        for _ in range(100):
            await socket.send("x" * MAX_MESSAGE_BYTES)
            await socket.send(b"x")
        # the answer to a ping proves that everything before it was read
        await (await socket.ping())
        assert await publish(redis, [about(settings, "anna", 1)]) == await received(socket, 1)


async def test_an_oversized_message_closes_the_connection(service: Service) -> None:
    async with service.socket() as socket:
        await socket.send("x" * (MAX_MESSAGE_BYTES + 1))
        assert await closed(socket) == 1009


async def test_a_shutdown_ends_every_stream_at_once(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "uvicorn.error")
    async with (
        asyncio.timeout(GRACE_SECONDS - 5),
        following(settings) as service,
        service.socket() as socket,
        service.events() as stream,
    ):
        await service.refused(401, {})
        service.stop.set()
        assert await closed(socket) == 1012
        while await stream.next():
            pass
    # the process neither failed nor waited for the grace time
    assert caplog.records == []


class _Drain(Shutdown):
    """A drain at the share that the test says."""

    share = 0.0
    asked = 0

    def progress(self) -> float:
        self.asked += 1
        return self.share

    async def at(self, share: float) -> None:
        """Wait until the share was seen, and what it changes was done."""
        self.share, seen = share, self.asked
        await eventually(lambda: self.asked > seen + 1)


async def test_subscribers_leave_in_the_second_half_of_a_drain_and_the_others_are_served(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = iter([0.1, 0.9, 0.6])
    monkeypatch.setattr("dashboard.live.session.random", SimpleNamespace(random=lambda: next(order)))
    async with following(settings) as service, service.socket() as first, service.socket() as last:
        async with service.events() as stream:
            drain = _Drain(3600)
            draining = asyncio.create_task(service.hub.drain(drain))
            drain.begin()
            await drain.at(0.5)
            published = await publish(redis, [about(settings, "anna", 1)])
            assert await received(first, 1) == await received(last, 1) == published
            await drain.at(0.75)
            assert await closed(first) == 1012
            published = await publish(redis, [about(settings, "anna", 2)])
            assert await received(last, 1) == published
            await drain.at(0.9)
            while await stream.next():
                pass
        await drain.at(1.0)
        assert await closed(last) == 1012
        drain.stop.set()
        await draining


async def _stuck(service: Service, settings: Settings, redis: Redis) -> None:
    """Publish until nothing can be written to the clients that do not read for a while."""
    async with service.socket() as fast:
        for _ in range(60):
            new = await publish(redis, [about(settings, "anna", number) for number in range(500)])
            assert await received(fast, len(new)) == new


async def _silent_reader(service: Service, path: str, *headers: str) -> asyncio.StreamWriter:
    """Request a stream and never read it."""
    host, _, port = service.place.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1)
    head = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: {SERVICE['Authorization']}", *headers]
    writer.write("\r\n".join([*head, "", ""]).encode())
    await writer.drain()
    assert await reader.read(1)
    return writer


UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
SILENT = {"websocket": (LIVE, *UPGRADE), "sse": (SSE,)}


@pytest.mark.parametrize("asked", SILENT.values(), ids=SILENT.keys())
async def test_a_client_that_does_not_read_does_not_delay_the_shutdown(
    settings: Settings, redis: Redis, asked: tuple[str, ...]
) -> None:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(following(settings, FAST, 2_000))
        writer = await _silent_reader(service, *asked)
        await _stuck(service, settings, redis)
        async with asyncio.timeout(GRACE_SECONDS):
            service.stop.set()
            await stack.aclose()
    writer.close()


@pytest.mark.parametrize("asked", SILENT.values(), ids=SILENT.keys())
async def test_a_client_that_takes_nothing_is_closed(
    settings: Settings, redis: Redis, asked: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_timeout.WriteWatchdog.__init__, "__defaults__", (0.2,))
    async with following(settings, FAST, 2_000) as service:
        writer = await _silent_reader(service, *asked)
        await _stuck(service, settings, redis)
        await eventually(lambda: subscribers("websocket") == subscribers("sse") == 0)
    writer.close()


async def test_a_client_that_answers_no_ping_is_closed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "PING_SECONDS", 0.1)
    async with following(settings) as service:
        host, _, port = service.place.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = [f"GET {LIVE} HTTP/1.1", "Host: x", f"Authorization: {SERVICE['Authorization']}", *UPGRADE]
        writer.write("\r\n".join([*head, "", ""]).encode())
        # it reads everything and sends nothing
        assert (1011).to_bytes(2, "big") in await reader.read()
        writer.close()


def subscribers(transport: str) -> float:
    return metrics.registry.get_sample_value("analytics_live_subscribers", {"transport": transport}) or 0


def sampled(name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0


async def test_metrics_count_subscribers_and_messages(service: Service, settings: Settings, redis: Redis) -> None:
    names = [
        ("analytics_live_messages_total", {"transport": "websocket"}),
        ("analytics_live_messages_total", {"transport": "sse"}),
        ("analytics_live_resyncs_total", {}),
        ("analytics_read_requests_total", {"route": LIVE, "code": "101"}),
        ("analytics_read_requests_total", {"route": LIVE, "code": "401"}),
        ("analytics_read_requests_total", {"route": SSE, "code": "200"}),
        ("analytics_read_requests_total", {"route": "unmatched", "code": "404"}),
    ]
    before = [sampled(name, **labels) for name, labels in names]
    await publish(redis, [about(settings, "anna", 1)])
    async with service.socket() as socket, service.events() as stream, service.connect(last_id="1") as late:
        assert [(await said(late))["type"] for _ in range(2)] == ["welcome", "resync_required"]
        assert (subscribers("websocket"), subscribers("sse")) == (2, 1)
        new = await publish(redis, [about(settings, "anna", number) for number in range(3)])
        assert new == await received(socket, 3) == await received(late, 3)
        while (await stream.next()).get("id") != new[-1]:
            pass
        await service.refused(401, {})
        async with httpx.AsyncClient() as client:
            upgrade = dict(header.split(": ") for header in UPGRADE)
            reply = await client.get(f"http://{service.place}/anna", headers=upgrade)
            assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
        expected = [6, 3, 1, 2, 1, 1, 1]
        counted = [was + more for was, more in zip(before, expected, strict=True)]
        await eventually(lambda: [sampled(name, **labels) for name, labels in names] == counted)
    await eventually(lambda: subscribers("websocket") == subscribers("sse") == 0)


async def test_no_stream_opens_while_the_stream_position_is_unknown(settings: Settings) -> None:
    away = Settings.model_validate(settings.model_dump() | {"redis_url": f"redis://{LOOPBACK}:{any_free()}/0"})
    async with following(away) as service:
        assert (await service.refused(503))["code"] == "stream_unavailable"
        async with httpx.AsyncClient(base_url=f"http://{service.place}") as client:
            reply = await client.get(SSE, headers=SERVICE)
        assert (reply.status_code, reply.json()["code"]) == (503, "stream_unavailable")
        assert subscribers("websocket") == subscribers("sse") == 0


async def test_no_message_stays_in_memory_for_long(settings: Settings, redis: Redis) -> None:
    now = utc_now()
    async with following(settings, clock=lambda: now) as service, service.socket() as socket:
        published = await publish(redis, [about(settings, "anna", 1), about(settings, "anna", 2)])
        assert await received(socket, 2) == published
        assert not service.hub.has_left((int(published[0]),))
        now += MEMORY + timedelta(minutes=1)
        await eventually(lambda: service.hub.has_left((int(published[0]),)))
        # the message is still in Redis
        async with service.socket(last_id=published[0]) as another:
            assert await received(another, 1) == published[1:]


async def test_redis_is_not_polled_without_subscribers(service: Service, redis: Redis) -> None:
    async with service.socket():
        pass

    async def goes_unasked() -> bool:
        await redis.config_resetstat()
        async with httpx.AsyncClient() as client:
            for _ in range(20):
                await client.get(f"http://{service.place}/livez")
        return "cmdstat_zrangebyscore" not in await redis.info("commandstats")

    await eventually(goes_unasked)
