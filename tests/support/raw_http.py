"""Requests as raw bytes on a socket, and the parsed responses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from dashboard.app import create_app as create_dashboard
from dashboard.server import open_services
from ingest.routes import TRACK
from ingest.server import create_app as create_ingest
from runtime.settings import Settings
from stream.server.connection import Redis
from tests.support.access import READ_KEY, WRITE_KEY
from tests.support.serving import served

EVENT = json.dumps({"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 5}})
CLOSE = b"connection: close\r\n"
HOST = b"host: x\r\n"
JSON = b"authorization: Bearer " + WRITE_KEY.encode() + b"\r\ncontent-type: application/json\r\n"
READER = b"authorization: Bearer " + READ_KEY.encode() + b"\r\n"
Place = tuple[str, int]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        code: str | None = json.loads(self.body).get("code")
        return code


@asynccontextmanager
async def both(settings: Settings, redis: Redis) -> AsyncIterator[dict[str, Place]]:
    stop = asyncio.Event()
    async with (
        open_services(settings) as services,
        served(create_dashboard(services, stop), live=stop) as dashboard,
        served(create_ingest(settings, redis, asyncio.Event())) as ingest,
    ):
        places = {"ingest": ingest.partition(":"), "dashboard": dashboard.partition(":")}
        yield {name: (host, int(port)) for name, (host, _, port) in places.items()}


async def answers(place: Place, *parts: bytes) -> list[Answer]:
    """Return every response until the server closes the connection."""
    reader, writer = await asyncio.open_connection(*place)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        said = await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()
    found = []
    while said:
        head, _, rest = said.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        found.append(Answer(int(status.split()[1]), headers, rest[:length]))
        said = rest[length:]
    return found


async def answer(place: Place, *parts: bytes) -> Answer:
    [only] = await answers(place, *parts)
    return only


def post(body: bytes, path: str = TRACK, *, version: bytes = b"1.1", more: bytes = HOST + CLOSE) -> bytes:
    head = b"POST %s HTTP/%s\r\n%s%scontent-length: %d\r\n\r\n" % (path.encode(), version, JSON, more, len(body))
    return head + body


def get(target: str, *, version: bytes = b"1.1", more: bytes = HOST + CLOSE) -> bytes:
    return b"GET %s HTTP/%s\r\n%s%s\r\n" % (target.encode(), version, READER, more)
