"""ASGI middleware of every service: request ids, security headers, metrics."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telemetry import logging
from web.request_id import request_id_of

UNMATCHED: Final = "unmatched"
"""Route label of requests that match no route. Unknown paths must not add series to the metrics."""

Header = tuple[bytes, bytes]

Observer = Callable[[str, int, float], object]
"""Takes the route, the status and the seconds until the answer began."""


@dataclass(slots=True)
class RequestContext:
    """State of one request, in its ASGI scope."""

    request_id: str
    headers: Mapping[str, str]
    """By names in lower case. Look-ups are faster than in Starlette's list of headers."""
    route: str | None = UNMATCHED
    """Template of the route for metrics; None: metrics do not count the request."""
    is_answered: bool = False
    """Whether an answer has begun."""


def context_of(scope: Scope) -> RequestContext:
    """Return the context that RequestContextMiddleware has put into the scope."""
    context: RequestContext = scope["context"]
    return context


class RequestContextMiddleware:
    """Gives every request an id and every answer security headers, and reports answers to metrics.

    It is the outermost layer. A header of an answer overrides the security header of the same name.
    """

    def __init__(self, app: ASGIApp, security_headers: Mapping[str, str], observe: Observer) -> None:
        self._app = app
        self._observe = observe
        self._headers = {name.lower().encode(): value.encode() for name, value in security_headers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. Metrics see it once its answer begins, or as a 500 when it fails without one."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        context = scope["context"] = RequestContext(request_id_of(headers.get("x-request-id")), headers)
        logging.request_id.set(context.request_id)

        def send_with_headers(message: Message) -> Awaitable[None]:
            if not context.is_answered:
                context.is_answered = True
                message["headers"] = self._complete(message.get("headers", ()), context.request_id)
                self._observe_answer(context.route, _status_of(message), started)
            return send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except BaseException:
            if not context.is_answered:
                self._observe_answer(context.route, 500, started)
            raise

    def _complete(self, own: Iterable[Header], request_id: str) -> list[Header]:
        own_names = dict(own)
        if self._headers.keys().isdisjoint(own_names):
            missing = self._headers.items()
        else:
            missing = {name: value for name, value in self._headers.items() if name not in own_names}.items()
        return [*own, *missing, (b"x-request-id", request_id.encode())]

    def _observe_answer(self, route: str | None, status: int, started: float) -> None:
        if route is not None:
            self._observe(route, status, time.perf_counter() - started)


def _status_of(first: Message) -> int:
    """Return the status of the first message of an answer."""
    if first["type"] == "websocket.accept":
        return 101
    # a WebSocket that is closed before its handshake is accepted is answered 403
    status: int = first.get("status", 403)
    return status
