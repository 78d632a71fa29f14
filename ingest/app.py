"""The ASGI application: the two event routes by hand, since every event passes them; the rest by Starlette."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.routes import BATCH, TRACK, EventRoutes, Reply
from runtime.refusal import Refusal
from schemas.problem import PROBLEM_MEDIA_TYPE
from telemetry import logging, metrics

Endpoint = Callable[[Mapping[str, str], Receive], Awaitable[Reply]]

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UNMATCHED: Final = "unmatched"

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class IngestApp:
    """Answers every request with JSON, a request id, careful headers, and its metrics."""

    def __init__(self, events: EventRoutes, others: ASGIApp, other_paths: frozenset[str]) -> None:
        """Take the event routes, an application for `other_paths`, and those paths."""
        self._endpoints: dict[str, Endpoint] = {TRACK: events.track, BATCH: events.batch}
        self._others = others
        self._other_paths = other_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"]
        endpoint = self._endpoints.get(path)
        started = time.perf_counter()
        if endpoint is None and path in self._other_paths:
            await self._others(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = _request_id(headers)
        route = path if endpoint else _UNMATCHED
        try:
            reply = await _serve(endpoint, scope["method"], headers, receive)
            status, body, media_type, extra = reply.status, reply.body, "application/json", {}
        except Refusal as refusal:
            logging.get("ingest").info("refused", code=refusal.code, status=int(refusal.status), request_id=request_id)
            document = refusal.problem(request_id).model_dump_json(exclude_none=True, exclude_defaults=True)
            status, body, media_type = refusal.status, document.encode(), PROBLEM_MEDIA_TYPE
            extra = dict(refusal.headers)
        except ClientDisconnect:
            return
        await _respond(send, status, body, extra | {"content-type": media_type, "x-request-id": request_id})
        metrics.INGEST_REQUESTS.labels(route, str(int(status))).inc()
        metrics.INGEST_DURATION.labels(route).observe(time.perf_counter() - started)


async def _serve(endpoint: Endpoint | None, method: str, headers: Mapping[str, str], receive: Receive) -> Reply:
    if endpoint is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "not_found", "There is nothing here; see /docs.")
    if method != "POST":
        raise Refusal(
            HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "Events are sent with POST.", headers={"allow": "POST"}
        )
    return await endpoint(headers, receive)


async def _respond(send: Send, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
    own = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    length = (b"content-length", str(len(body)).encode())
    start: Message = {
        "type": "http.response.start",
        "status": int(status),
        "headers": [*own, length, *SECURITY_HEADERS],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
