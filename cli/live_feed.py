"""Follows the live events of the read service: reconnects, and goes on behind the last event it saw."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.http11 import Response

from cli.delivery import retry_after_seconds
from cli.target import Target
from runtime.clock import utc_now
from runtime.errors import DependencyUnavailable
from schemas.answers import StoredEvent
from schemas.limits import MAX_EVENT_BYTES
from schemas.live import CREDENTIALS_ENDED, HEARTBEAT_SECONDS, MAX_FRAME_EVENTS, FrameType

PATH: Final = "/api/analytics/live"

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 30.0
_MISSED_HEARTBEATS: Final = 3
_OPEN_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0
_MAX_FRAME_BYTES: Final = MAX_FRAME_EVENTS * 2 * MAX_EVENT_BYTES

_BUSY: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)

MessageId = Annotated[str, Field(pattern=r"^\d{1,20}$")]


class LiveRefused(DependencyUnavailable):
    """The read service does not let us follow, and trying again would not help."""

    dependency = "live events"


class LiveMessage(StoredEvent):
    """An event as it is published; fields of a newer version are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: MessageId


class _Frame(BaseModel):
    # a text, so that a newer service may send kinds we do not know
    type: FrameType | str
    cursor: MessageId | None = None
    heartbeat_seconds: float = Field(HEARTBEAT_SECONDS, gt=0)
    events: list[LiveMessage] = []
    reason: str = ""


class _Dropped(Exception):
    """A connection that ended, or did not come about; another one may."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


def reconnect_delay(failures: int, retry_after: float, luck: float) -> float:
    """Return the seconds to wait after so many failures in a row, 1 or more; `luck` in [0, 1) spreads the clients.

    Never shorter than what the server asked for.
    """
    return retry_after + luck * min(FIRST_SECONDS * 2.0 ** min(failures - 1, 30), LONGEST_SECONDS)


@dataclass(slots=True)
class LiveFeed:
    """One subscription, over as many connections as it takes."""

    target: Target
    types: tuple[str, ...] = ()
    """Empty: all."""
    user_id: str | None = None
    on_notice: Callable[[str], None] = lambda _text: None
    """Told what a person should know."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    luck: Callable[[], float] = field(default=random.random)
    last_id: int | None = None
    """Of the last message that was seen, or that was no concern of ours."""

    async def events(self) -> AsyncGenerator[LiveMessage]:
        """Yield every event from now on, each once, for ever. Raises LiveRefused."""
        failures = 0
        while True:
            try:
                async with aclosing(self._frames()) as frames:
                    async for frame in frames:
                        failures = 0
                        for event in self._taken(frame):
                            yield event
            except _Dropped as dropped:
                failures += 1
                seconds = reconnect_delay(failures, dropped.retry_after, self.luck())
                self.on_notice(f"{dropped.reason}; again in {seconds:.1f} s")
                await self.sleep(seconds)

    def _taken(self, frame: _Frame) -> Iterator[LiveMessage]:
        match frame.type:
            case "welcome":
                self.on_notice("connected")
            case "behind":
                self.on_notice("events come faster than they are read here; they follow from history")
            case "resync_required":
                self.on_notice(f"events are missing here ({frame.reason or 'no reason given'})")
                self.last_id = None
        for event in frame.events:
            if self.last_id is None or int(event.id) > self.last_id:
                self.last_id = int(event.id)
                yield event
        if frame.cursor is not None:
            self.last_id = max(self.last_id or 0, int(frame.cursor))

    async def _frames(self) -> AsyncGenerator[_Frame]:
        """Yield what one connection says. Raises _Dropped when it ends, and LiveRefused."""
        patience: float = HEARTBEAT_SECONDS
        try:
            async with connect(
                self._address(),
                additional_headers={"Authorization": f"Bearer {self.target.key}"},
                user_agent_header="studyin-analytics-cli",
                open_timeout=_OPEN_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                max_size=_MAX_FRAME_BYTES,
            ) as socket:
                while True:
                    async with asyncio.timeout(_MISSED_HEARTBEATS * patience):
                        frame = _Frame.model_validate_json(await socket.recv())
                    if frame.type == "welcome":
                        patience = frame.heartbeat_seconds
                    yield frame
        except InvalidStatus as refused:
            raise _judged(refused.response) from None
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code == CREDENTIALS_ENDED:
                raise LiveRefused("credentials ended", "the key was revoked or has expired") from None
            raise _Dropped("the connection was closed") from None
        except ValidationError:
            raise _Dropped("a frame cannot be read") from None
        except TimeoutError:
            raise _Dropped("the read service is silent") from None
        except InvalidURI:
            raise LiveRefused("no such place", "is this the URL of the read service?") from None
        except (OSError, WebSocketException) as error:
            raise _Dropped(f"no connection: {error}") from None

    def _address(self) -> str:
        asked = {"types": ",".join(self.types), "user_id": self.user_id, "last_id": self.last_id}
        query = urlencode({name: value for name, value in asked.items() if value not in (None, "")})
        # http becomes ws, https wss
        return f"ws{self.target.url.removeprefix('http')}{PATH}{'?' if query else ''}{query}"


def _judged(response: Response) -> _Dropped | LiveRefused:
    status = response.status_code
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return LiveRefused("key refused", f"status {status}; it needs a key with the scope events:read")
    if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _Dropped(f"status {status}", retry_after_seconds(response.headers.get("Retry-After"), utc_now()))
    return LiveRefused("unexpected answer", f"status {status}; is this the URL of the read service?")
