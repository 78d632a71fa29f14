"""A WebSocket server with the protocol of the read service and scripted frames."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from cli.local.embedded.ports import LOOPBACK


def message(number: int, event_type: str = "xp_earned", **properties: Any) -> dict[str, Any]:
    """Return the message of an event, with the id `number`."""
    return {
        "id": str(number),
        "event_type": event_type,
        "user_hash": "ab" * 32,
        "event_id": "01a20b65-0f48-749a-9d4d-12609db963ab",
        "session_id": None,
        "occurred_at": "2026-11-24T12:00:00+00:00",
        "received_at": "2026-11-24T12:00:00+00:00",
        "activity_date": "2026-11-24",
        "schema_version": 1,
        "source": "tests",
        "properties": properties or ({"new_level": 2} if event_type == "level_up" else {"xp_amount": number}),
    }


class Visit:
    """A connection: its request, and methods to send frames."""

    def __init__(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        address = urlsplit(connection.request.path)
        self.path = address.path
        self.asked = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.authorization = connection.request.headers.get("authorization")
        self._connection = connection
        self._after = int(self.asked.get("last_id", 0))

    async def say(self, kind: str, **facts: Any) -> None:
        """Send a frame."""
        if kind == "resync_required":
            self._after = int(facts["cursor"])
        await self._connection.send(json.dumps({"type": kind, **facts}))

    async def welcome(self, cursor: int = 0, heartbeat_seconds: float = 15) -> None:
        """Send the first frame."""
        await self.say("welcome", cursor=str(cursor), heartbeat_seconds=heartbeat_seconds)

    async def publish(self, *numbers: int, event_type: str = "xp_earned") -> None:
        """Send events with these ids, except those up to the cursor of the client."""
        messages = [message(number, event_type) for number in numbers if number > self._after]
        await self.say("events", events=messages, cursor=str(numbers[-1]))

    async def close(self, code: int) -> None:
        """Close the connection with this code."""
        await self._connection.close(code)

    async def stay(self) -> None:
        """Send nothing more until the client leaves."""
        await self._connection.wait_closed()


Script = Callable[[Visit], Awaitable[None]]


class Refusal(Exception):
    """The script of a connection that is refused."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(status)
        self.status = HTTPStatus(status)
        self.headers = headers


class ScriptedLive:
    """Runs one script for each connection; the last one repeats."""

    def __init__(self, *scripts: Script | Refusal) -> None:
        self._scripts = list(scripts)
        self.visits: list[Visit] = []
        self.refused = 0
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ScriptedLive]:
        """Serve while the block runs."""
        async with serve(self._play, LOOPBACK, 0, process_request=self._admit) as server:
            [socket] = server.sockets
            self.url = f"http://{LOOPBACK}:{socket.getsockname()[1]}"
            yield self

    def _admit(self, connection: ServerConnection, _request: Request) -> Response | None:
        script = self._scripts[0]
        if not isinstance(script, Refusal):
            return None
        self._turn()
        self.refused += 1
        response = connection.respond(script.status, "no\n")
        for name, value in script.headers.items():
            response.headers[name.replace("_", "-")] = value
        return response

    async def _play(self, connection: ServerConnection) -> None:
        script = self._turn()
        assert not isinstance(script, Refusal)
        visit = Visit(connection)
        self.visits.append(visit)
        await script(visit)

    def _turn(self) -> Script | Refusal:
        return self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
