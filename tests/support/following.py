"""The read service with live events on the real server, and subscribers."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dashboard.app import create_app
from dashboard.live.hub import Hub
from dashboard.live.pace import Pace
from dashboard.live.subscriber_limits import SubscriberLimits
from dashboard.server import open_services
from dashboard.services import Services
from runtime.clock import utc_now
from runtime.lifecycle import run_together
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from stream.server import connection
from tests.support.access import EVENTS_KEY
from tests.support.events import event
from tests.support.reading import bearer
from tests.support.serving import served

LIVE: Final = "/api/analytics/live"
SSE: Final = f"{LIVE}/sse"
SERVICE: Final = bearer(EVENTS_KEY)
FAST: Final = Pace(poll=0.005, turn=0.02, heartbeat=15)

FACTS: Final = {"xp_earned": "xp_amount", "level_up": "new_level", "streak_update": "streak_days"}
"""The property of each type that holds the event's number."""

Headers = Mapping[str, str]
Message = dict[str, Any]


def about(settings: Settings, user_id: str, number: int, event_type: str = "xp_earned") -> AcceptedEvent:
    """Return an event of a learner."""
    pseudonym = settings.pseudonymizer().pseudonym(user_id)
    return event(event_type, {FACTS[event_type]: number or 1}, number=number, user_hash=pseudonym)


class Service:
    """A running read service."""

    def __init__(self, place: str, services: Services, stop: asyncio.Event) -> None:
        self.place = place
        self.services = services
        self.stop = stop

    @property
    def hub(self) -> Hub:
        return self.services.live

    @asynccontextmanager
    async def socket(self, headers: Headers = SERVICE, **asked: Any) -> AsyncIterator[ClientConnection]:
        """Open a WebSocket for the block, after its welcome."""
        async with self.connect(headers, **asked) as socket:
            assert (await said(socket))["type"] == "welcome"
            yield socket

    def connect(self, headers: Headers = SERVICE, *, scheme: str = "ws", **asked: Any) -> connect:
        """Return the connection object of a WebSocket."""
        options = {name: asked.pop(name) for name in ("subprotocols", "origin", "max_queue", "ssl") if name in asked}
        query = f"?{httpx.QueryParams(asked)}" if asked else ""
        return connect(
            f"{scheme}://{self.place}{LIVE}{query}",
            additional_headers=headers,
            compression=None,
            proxy=None,
            max_size=None,
            close_timeout=1,
            **options,
        )

    async def refused(self, status: int, headers: Headers = SERVICE, **asked: Any) -> Message:
        """Try to open a WebSocket that must be refused; return the problem."""
        try:
            async with self.connect(headers, **asked):
                raise AssertionError("it was opened")
        except InvalidStatus as refusal:
            response = refusal.response
        problem: Message = json.loads(response.body or b"")
        assert response.headers["Content-Type"] == "application/problem+json"
        assert (response.status_code, problem["status"]) == (status, status)
        assert problem["instance"] == response.headers["X-Request-Id"]
        assert ("Retry-After" in response.headers) == (status in (429, 503))
        return problem

    @asynccontextmanager
    async def events(self, headers: Headers = SERVICE, **asked: str) -> AsyncIterator[EventStream]:
        """Open a stream of Server-Sent Events for the block."""
        async with (
            httpx.AsyncClient(base_url=f"http://{self.place}", timeout=20) as client,
            client.stream("GET", SSE, headers=headers, params=asked) as response,
        ):
            assert response.status_code == 200, await response.aread()
            assert response.headers["Content-Type"].startswith("text/event-stream")
            yield EventStream(response)


class EventStream:
    """Parses a stream as a browser's EventSource does."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, str]:
        """Return the fields of the next event; an empty dict at the end."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(": ")
            fields[name] = value
        return {}


@asynccontextmanager
async def following(
    settings: Settings,
    pace: Pace = FAST,
    capacity: int = 10_000,
    places: int = 100,
    clock: Callable[[], datetime] = utc_now,
    **options: Any,
) -> AsyncIterator[Service]:
    """Run the service for the block. It must end by itself when `stop` is set."""
    stop = asyncio.Event()
    redis = connection.connect(settings)
    async with open_services(settings) as opened:
        hub, limits = Hub(redis, pace, capacity, clock, settings.stream_partitions), SubscriberLimits(places)
        services = dataclasses.replace(opened, live=hub, subscriber_limits=limits)
        loops = [services.live.run(stop), *(follow(stop) for follow in services.followers)]
        keeping = asyncio.create_task(run_together(stop, *loops))
        async with served(create_app(services, stop), live=stop, **options) as place:
            yield Service(place, services, stop)
        await keeping
    await redis.aclose()


async def said(socket: ClientConnection) -> Message:
    """Return the next frame."""
    frame: Message = json.loads(await socket.recv())
    return frame


async def received(socket: ClientConnection, count: int) -> list[str]:
    """Return the ids of the next messages. Only events and heartbeats may arrive meanwhile."""
    ids: list[str] = []
    while len(ids) < count:
        frame = await said(socket)
        assert frame["type"] in ("events", "heartbeat"), frame
        ids += [message["id"] for message in frame.get("events", ())]
    return ids


async def closed(socket: ClientConnection) -> int | None:
    """Read to the end; return the close code."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket.recv()
    return socket.close_code
