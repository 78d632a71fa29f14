"""Reads live events from the WebSocket of the read service."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from .errors import ConfigurationError, SubscriptionRefused
from .event_form import utc_now
from .live_frames import Disconnected, Frame, Welcome, WrongService, read_frame
from .proxies import is_socks, need_socks, proxy_of
from .retry import retry_after_seconds
from .schemas.live import CREDENTIALS_ENDED, HEARTBEAT_SECONDS
from .transport import base_url
from .version import USER_AGENT

LIVE_PATH: Final = "/api/analytics/live"
MAX_FRAME_BYTES: Final = 32 * 1024 * 1024
MISSED_HEARTBEATS: Final = 3
"""Number of missed heartbeats after which a connection is closed."""

_BUSY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})

Token = str | Callable[[], str | Awaitable[str]]
"""An API key, a learner's JWT, or a function that returns a fresh one for each connection."""


class SocketSource:
    """Uses one WebSocket at a time."""

    def __init__(self, url: str, token: Token, user_id: str | None = None, ca_file: str | None = None) -> None:
        """Raise ConfigurationError for an invalid URL, an unusable proxy, or a missing token."""
        try:
            self._trust: dict[str, Any] = {} if ca_file is None else {"ssl": ssl.create_default_context(cafile=ca_file)}
        except OSError:
            raise ConfigurationError("ca_file has no readable certificates") from None
        # http becomes ws, https wss
        self._url = base_url(url, "url").replace("http", "ws", 1) + LIVE_PATH
        self._proxy = proxy_of(self._url)
        if self._proxy is not None and is_socks(self._proxy):
            need_socks("python_socks", "python-socks[asyncio]")
        self._token = token
        self._user_id = user_id
        if not token:
            raise ConfigurationError("key and token are missing: pass one or set ANALYTICS_READ_KEY")

    async def listen(self, types: frozenset[str] | None, after: str | None) -> AsyncGenerator[Frame, None]:
        """Yield frames until the connection ends."""
        try:
            async with connect(
                self._address(types, after),
                additional_headers={"Authorization": f"Bearer {await self._credential()}"},
                user_agent_header=USER_AGENT,
                max_size=MAX_FRAME_BYTES,
                # the heartbeats of the service replace pings
                ping_interval=None,
                proxy=self._proxy,
                **self._trust,
            ) as socket:
                patience = MISSED_HEARTBEATS * HEARTBEAT_SECONDS * 1.0
                while True:
                    frame = read_frame(await asyncio.wait_for(socket.recv(), patience))
                    if isinstance(frame, Welcome):
                        patience = MISSED_HEARTBEATS * frame.heartbeat_seconds
                    if frame is not None:
                        yield frame
        except InvalidStatus as refusal:
            raise _refused(refusal) from None
        except ConnectionClosed as closed:
            raise self._closed(closed) from None
        except (OSError, asyncio.TimeoutError, WebSocketException) as error:
            raise Disconnected(type(error).__name__) from error

    def _address(self, types: frozenset[str] | None, after: str | None) -> str:
        asked = {
            "types": ",".join(sorted(types)) if types is not None else None,
            "user_id": self._user_id,
            "last_id": after,
        }
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return f"{self._url}?{query}" if query else self._url

    async def _credential(self) -> str:
        if isinstance(self._token, str):
            return self._token
        given = self._token()
        return await given if inspect.isawaitable(given) else given

    def _closed(self, closed: ConnectionClosed) -> Exception:
        code = closed.rcvd.code if closed.rcvd is not None else None
        if code == CREDENTIALS_ENDED and isinstance(self._token, str):
            return SubscriptionRefused(code, "the key was revoked or the token has expired; use another")
        return Disconnected(f"closed with {code}")


def _refused(refusal: InvalidStatus) -> Exception:
    status = refusal.response.status_code
    if status == HTTPStatus.UNAUTHORIZED:
        return SubscriptionRefused(status, "the read service does not accept this key or token")
    if status == HTTPStatus.FORBIDDEN:
        return SubscriptionRefused(status, "the credentials do not allow these events")
    retry_after = retry_after_seconds(refusal.response.headers.get("retry-after"), utc_now())
    if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Disconnected(f"status {status}", retry_after)
    return WrongService(status, retry_after)
