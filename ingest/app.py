"""The ASGI application: the routes of events by hand, since every event passes them; the rest by Starlette."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.endpoint import Endpoint, Reply
from ingest.rejection import defect_refusal
from schemas.problem import PROBLEM_MEDIA_TYPE
from telemetry import events as telemetry
from telemetry import logging
from web.problems import Refusal
from web.request_id import new_request_id, request_id_of

_UNMATCHED: Final = "unmatched"

_log = logging.get("ingest")

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_HEADERS: Final = {b"content-type": b"application/json", **dict(SECURITY_HEADERS)}
"""Of an answer that has none of its own by these names."""
_COMMON_HEADERS: Final = tuple(_HEADERS.items())


class IngestApp:
    """Answers every request with JSON, a request id, careful headers, and its metrics."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        others: ASGIApp,
        other_paths: frozenset[str],
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        """Take the endpoints of events by their paths, an application for `other_paths`, and those paths.

        `aliases`: the path that each other path of an endpoint stands for, under which it is counted too.
        """
        self._endpoints = endpoints
        self._aliases = aliases or {}
        self._others = others
        self._other_paths = other_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. A path may end with one slash more."""
        started = time.perf_counter()
        path: str = scope["path"]
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            path = self._canonical(path)
            endpoint = self._endpoints.get(path)
        request_id = ""
        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            request_id = request_id_of(headers.get("x-request-id"))
            is_for_others = path in self._other_paths and scope["method"] in ("GET", "HEAD")
            reply = None if is_for_others else await self._serve(path, endpoint, scope, headers, receive)
        except Refusal as refusal:
            _log.info("refused", code=refusal.code, status=int(refusal.status), request_id=request_id)
            reply = _problem(refusal, request_id)
        except ClientDisconnect:
            return
        except Exception:
            request_id = request_id or new_request_id()
            reply = _problem(defect_refusal(), request_id)
            await _respond(send, reply, request_id)
            self._count(path, endpoint, reply.status, started)
            raise
        if reply is None:
            await self._others({**scope, "path": path, "request_id": request_id}, receive, _dressed(send, request_id))
            return
        await _respond(send, reply, request_id)
        self._count(path, endpoint, reply.status, started)

    def _canonical(self, path: str) -> str:
        """Return the path of the endpoint that a path stands for: without a last slash, and under its own name."""
        plain = path.removesuffix("/") or path
        return self._aliases.get(plain, plain)

    async def _serve(
        self, path: str, endpoint: Endpoint | None, scope: Scope, headers: Mapping[str, str], receive: Receive
    ) -> Reply:
        if path in self._other_paths:
            raise _method_not_allowed("This is read with GET.", "GET, HEAD")
        if endpoint is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "not_found", "There is nothing here; see /docs.")
        if scope["method"] != "POST":
            raise _method_not_allowed("Events are sent with POST.", "POST")
        client = scope.get("client")
        return await endpoint(headers, client[0] if client else None, receive)

    def _count(self, path: str, endpoint: Endpoint | None, status: HTTPStatus, started: float) -> None:
        # The template, never the path that was asked for: strangers must not grow the metrics.
        route = path if endpoint else _UNMATCHED
        telemetry.request_answered(route, int(status), time.perf_counter() - started)


async def answer_defect(request: Request, _error: Exception) -> Response:
    """Answer a request of another path that met a fault of this service; the server logs the fault."""
    reply = _problem(defect_refusal(), request.scope["request_id"])
    return Response(reply.body, reply.status, headers=dict(reply.headers))


def _method_not_allowed(detail: str, allowed: str) -> Refusal:
    return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", detail, headers={"allow": allowed})


def _problem(refusal: Refusal, request_id: str) -> Reply:
    document = refusal.problem(request_id).model_dump_json(exclude_defaults=True)
    headers = {"content-type": PROBLEM_MEDIA_TYPE, **refusal.headers}
    return Reply(refusal.status, document.encode(), headers)


async def _respond(send: Send, reply: Reply, request_id: str) -> None:
    headers = [*_headers(reply), (b"content-length", b"%d" % len(reply.body)), (b"x-request-id", request_id.encode())]
    await send({"type": "http.response.start", "status": int(reply.status), "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _headers(reply: Reply) -> Iterable[tuple[bytes, bytes]]:
    if not reply.headers:
        return _COMMON_HEADERS
    own = {name.encode("latin-1"): value.encode("latin-1") for name, value in reply.headers.items()}
    return (_HEADERS | own).items()


def _dressed(send: Send, request_id: str) -> Send:
    """Return a `send` that adds the request id and the careful headers; a response's own header wins."""

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message["headers"]}
            careful = [header for header in SECURITY_HEADERS if header[0] not in own]
            message["headers"] = [*message["headers"], *careful, (b"x-request-id", request_id.encode())]
        await send(message)

    return dressed
