"""A WebSocket server that speaks as the read service does, and says what a test wants it to say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

Frame = Mapping[str, Any]


@dataclass(frozen=True)
class Refusing:
    """An HTTP answer in place of a connection."""

    status: HTTPStatus
    headers: Mapping[str, str] = field(default_factory=dict)


Speaking = Callable[[ServerConnection], Awaitable[None]]
"""What is said on a connection; it is closed when this returns."""


def message(number: int, event_type: str = "xp_earned", **properties: Any) -> dict[str, Any]:
    """Return an event as it is published."""
    return {
        "id": str(number),
        "event_type": event_type,
        "user_hash": f"{number:064x}",
        "event_id": f"019f0000-0000-7000-8000-{number:012x}",
        "session_id": None,
        "occurred_at": "2026-11-18T12:34:56.789000+00:00",
        "received_at": "2026-11-18T12:34:57+00:00",
        "activity_date": "2026-11-18",
        "schema_version": 1,
        "source": "tests",
        "properties": properties or {"xp_amount": number},
    }


def welcome(cursor: int, heartbeat_seconds: float = 15) -> Frame:
    return {"type": "welcome", "cursor": str(cursor), "heartbeat_seconds": heartbeat_seconds}


def events(*numbers: int) -> Frame:
    return {"type": "events", "events": [message(number) for number in numbers], "cursor": str(numbers[-1])}


def saying(*frames: Frame | str, then: int | None = 1012) -> Speaking:
    """Say these frames, then close with this code; None: stay until the other side goes."""

    async def speak(connection: ServerConnection) -> None:
        for frame in frames:
            await connection.send(frame if isinstance(frame, str) else json.dumps(frame))
        if then is None:
            await connection.wait_closed()
        else:
            await connection.close(then)

    return speak


class ScriptedLive:
    """Does what the script says, connection by connection; its last line for every further one."""

    def __init__(self, *script: Speaking | Refusing) -> None:
        self.script = script
        self.asked: list[dict[str, list[str]]] = []
        """The query of each connection."""
        self.paths: list[str] = []
        self.headers: list[Headers] = []
        self.url = ""

    def _line(self, number: int) -> Speaking | Refusing:
        return self.script[min(number, len(self.script)) - 1]

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        place = urlsplit(request.path)
        self.paths.append(place.path)
        self.asked.append(parse_qs(place.query))
        self.headers.append(request.headers)
        line = self._line(len(self.asked))
        if isinstance(line, Refusing):
            response = connection.respond(line.status, "")
            response.headers.update(line.headers)
            return response
        return None

    async def _speak(self, connection: ServerConnection) -> None:
        line = self._line(len(self.asked))
        assert not isinstance(line, Refusing)
        await line(connection)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ScriptedLive]:
        """Serve while the block runs."""
        async with serve(self._speak, "127.0.0.1", 0, process_request=self._admit, close_timeout=1) as server:
            [socket] = server.sockets
            self.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
            yield self
