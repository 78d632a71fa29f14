"""What holds for every request, whatever becomes of it: an id, headers that make browsers careful, metrics."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.problems import problem_response
from runtime.origins import authority_of
from telemetry import logging, metrics
from web.problems import Refusal
from web.request_id import request_id_of

_UNMATCHED: Final = "unmatched"

_HEADERS: Final = tuple(
    (name.lower().encode(), value.encode())
    for name, value in {
        "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        # answers about learners must not stay in any cache
        "Cache-Control": "private, no-store",
    }.items()
)
"""A response's own header of the same name wins."""

_NO_ORIGIN: Final = Refusal(
    HTTPStatus.FORBIDDEN, "foreign_origin", "Origin should be `null`, or a scheme, a host and perhaps a port."
)


class Edge:
    """The outermost layer, around the error handlers too."""

    def __init__(self, app: ASGIApp, paths: frozenset[str]) -> None:
        """Take every path the application knows; requests for others are counted as one."""
        self._app = app
        self._paths = {path for path in paths if "{" not in path}
        # a path with a learner's id in it is counted, and named, by its template only
        self._templates = {path: _matcher(path) for path in sorted(paths - self._paths)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, dress its response, and count it once its answer begins, however long it goes on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path.endswith("/") and path != "/":
            # a path may end with one slash more; a redirect would name the host and scheme behind a proxy
            scope["path"] = path[:-1]
        request_id = scope["request_id"] = request_id_of(_sent_request_id(scope))
        logging.bind(request_id=request_id)
        started = time.perf_counter()
        is_answered = False

        def answered(status: int) -> None:
            nonlocal is_answered
            is_answered = True
            route = self._route(scope["path"])
            metrics.READ_REQUESTS.labels(route, str(status)).inc()
            metrics.READ_DURATION.labels(route).observe(time.perf_counter() - started)

        async def dressed(message: Message) -> None:
            if not is_answered:
                status = _status_of(message)
                own = message.get("headers", ())
                named = {name for name, _ in own}
                message["headers"] = [
                    *own,
                    (b"x-request-id", request_id.encode()),
                    *(header for header in _HEADERS if header[0] not in named),
                ]
                answered(status)
            await send(message)

        try:
            if _is_from_no_origin(scope):
                await problem_response(scope, _NO_ORIGIN)(scope, receive, dressed)
            else:
                await self._app(scope, receive, dressed)
        finally:
            if not is_answered:
                answered(500)

    def _route(self, path: str) -> str:
        if path in self._paths:
            return path
        return next((name for name, matcher in self._templates.items() if matcher.fullmatch(path)), _UNMATCHED)


def _is_from_no_origin(scope: Scope) -> bool:
    """Whether a request names an origin that is none: no browser does, and nobody may guess what is meant."""
    origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), None)
    if origin is None:
        return False
    try:
        authority_of(origin)
    except ValueError:
        return True
    return False


def _sent_request_id(scope: Scope) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), None)


def _matcher(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)))


def _status_of(beginning: Message) -> int:
    """Return the status of the first message of an answer."""
    match beginning["type"]:
        case "websocket.accept":
            return 101
        case "websocket.close":
            # before it was accepted: the server makes it this
            return 403
        case _:
            status: int = beginning["status"]
            return status
