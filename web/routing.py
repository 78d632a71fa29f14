"""Route tables, and the router that serves one."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from web.middleware import context_of
from web.problems import Refusal

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


class Router:
    """Serves a route table. A path may end with one additional slash."""

    def __init__(self, routes: Iterable[Route], sockets: Mapping[str, SocketEndpoint] | None = None) -> None:
        self._sockets = sockets or {}
        self._by_path: dict[str, dict[str, Route]] = {}
        self._by_template: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        for route in routes:
            for path in (route.path, *route.aliases):
                self._methods_of(path).update(dict.fromkeys(route.methods, route))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a WebSocket. Raises Refusal (404, 405) when no route matches."""
        if scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
            return
        methods = self._find(scope)
        if methods is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "not_found", "Nothing is served at this path; see /docs.")
        route = methods.get(scope["method"]) or next(iter(methods.values()))
        context_of(scope).route = route.path if route.is_counted else None
        if scope["method"] not in methods:
            allowed = ", ".join(methods)
            detail = f"This path is served with {allowed}."
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", detail, headers={"allow": allowed})
        answer = await route.endpoint(Request(scope, receive))
        await answer(scope, receive, send)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["path"] in self._sockets else _without_slash(scope["path"])
        endpoint = self._sockets.get(path)
        if endpoint is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "not_found", "No WebSocket is served at this path.")
        context_of(scope).route = path
        await endpoint(WebSocket(scope, receive, send))

    def _find(self, scope: Scope) -> Mapping[str, Route] | None:
        """Return the routes of a path by method, None without any. Sets `path_params` of the scope."""
        path: str = scope["path"]
        found = self._by_path.get(path)
        if found is not None:
            return found
        path = _without_slash(path)
        found = self._by_path.get(path)
        if found is not None:
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


def _without_slash(path: str) -> str:
    return path.removesuffix("/") or path
