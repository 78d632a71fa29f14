"""Route tables, and the router that serves one."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from web.middleware import context_of
from web.problems import DEFECT, Refusal, problem_reply, refusal_for

READ: Final = ("GET", "HEAD")

Endpoint = Callable[[Request], Awaitable[ASGIApp]]
"""Returns the answer to a request, as an ASGI application. Raises Refusal."""

SocketEndpoint = Callable[[WebSocket], Awaitable[None]]
"""Serves a WebSocket until it is closed. Raises Refusal before it accepts."""


@dataclass(frozen=True, slots=True)
class Route:
    """One row of a route table."""

    path: str
    """Template; `{name}` stands for one path segment."""
    methods: tuple[str, ...]
    endpoint: Endpoint
    aliases: tuple[str, ...] = ()
    """Other paths of the same endpoint. Metrics count them under `path`."""
    is_counted: bool = True
    """Whether metrics count its requests."""


def _log_nothing(_error: Exception, _refusal: Refusal, _request_id: str) -> None:
    pass


class Router:
    """Serves a route table, and answers errors with problem documents. A path may end with one additional slash."""

    def __init__(
        self,
        routes: Iterable[Route],
        sockets: Mapping[str, SocketEndpoint] | None = None,
        *,
        defect: Refusal = DEFECT,
        log_refusal: Callable[[Exception, Refusal, str], None] = _log_nothing,
    ) -> None:
        """`defect`: the answer to a defect. `log_refusal` takes an error, its refusal and the request id."""
        self._sockets = sockets or {}
        self._defect = defect
        self._log_refusal = log_refusal
        self._by_path: dict[str, dict[str, Route]] = {}
        self._by_template: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        for route in routes:
            for path in (route.path, *route.aliases):
                self._methods_of(path).update(dict.fromkeys(route.methods, route))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a WebSocket. A defect is raised again after its answer, for the log of the server."""
        try:
            if scope["type"] == "websocket":
                await self._serve_socket(scope, receive, send)
            else:
                answer = await self._route(scope).endpoint(Request(scope, receive))
                await answer(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception as error:
            if not await self._answer_error(error, scope, receive, send):
                raise

    async def _answer_error(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer an error unless an answer has begun. Return whether the error is dealt with: it is no defect."""
        context = context_of(scope)
        if context.is_answered:
            return False
        refusal = refusal_for(error)
        if refusal is not None:
            self._log_refusal(error, refusal, context.request_id)
            await problem_reply(refusal, context.request_id)(scope, receive, send)
            return True
        if scope["type"] == "http":
            await problem_reply(self._defect, context.request_id)(scope, receive, send)
        return False

    def _route(self, scope: Scope) -> Route:
        """Return the route of a request. Raises Refusal (404, 405)."""
        methods = self._by_path.get(scope["path"]) or self._find(scope)
        if not methods:
            raise Refusal(HTTPStatus.NOT_FOUND, "not_found", "Nothing is served at this path; see /docs.")
        route = methods.get(scope["method"])
        found = route or next(iter(methods.values()))
        context_of(scope).route = found.path if found.is_counted else None
        if route is None:
            allowed = ", ".join(methods)
            detail = f"This path is served with {allowed}."
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", detail, headers={"allow": allowed})
        return route

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["path"] in self._sockets else _without_slash(scope)
        endpoint = self._sockets.get(path)
        if endpoint is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "not_found", "No WebSocket is served at this path.")
        context_of(scope).route = path
        await endpoint(WebSocket(scope, receive, send))

    def _find(self, scope: Scope) -> Mapping[str, Route] | None:
        """Return the routes of a path by method; None without any. Sets `path_params` of the scope."""
        path = _without_slash(scope)
        if found := self._by_path.get(path):
            return found
        for pattern, methods in self._by_template.values():
            if match := pattern.fullmatch(path):
                scope["path_params"] = match.groupdict()
                return methods
        return None

    def _methods_of(self, path: str) -> dict[str, Route]:
        if "{" not in path:
            return self._by_path.setdefault(path, {})
        return self._by_template.setdefault(path, (pattern_of(path), {}))[1]


def pattern_of(template: str) -> re.Pattern[str]:
    """Return a pattern with a group for each parameter of a path template."""
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template)))


def headers_of(connection: HTTPConnection) -> Mapping[str, str]:
    """Return the headers by their names in lower case."""
    return context_of(connection.scope).headers


def address_of(connection: HTTPConnection) -> str | None:
    """Return the network address of the client, as reported by a trusted proxy."""
    client = connection.scope.get("client")
    return client[0] if client else None


def _without_slash(scope: Scope) -> str:
    path: str = scope["path"]
    # an encoded slash at the end belongs to a parameter
    is_encoded = not (scope.get("raw_path") or b"/").endswith(b"/")
    return path if is_encoded else path.removesuffix("/") or path
