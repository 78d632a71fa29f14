"""The whole service as one application: questions, probes, documentation, page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import Request, Response
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from dashboard import page
from dashboard.api import create_api
from dashboard.edge import Edge
from dashboard.live_routes import SOCKET_PATH
from dashboard.openapi import describe
from dashboard.services import Services
from telemetry.status import status_routes
from web.documentation import CONTENT_SECURITY_POLICY, documentation_files
from web.static_file import StaticFile

_Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(services: Services, stop: asyncio.Event) -> ASGIApp:
    """Return the whole read service; it is not ready any more once `stop` is set. Raises ConfigurationError."""
    api = create_api()
    api.state.services = services
    document = describe(api)
    api.router.routes.extend(status_routes(services.checks, stop=stop))
    api.add_route("/openapi.json", _json(document))
    for path, (media_type, content) in documentation_files(api.title).items():
        api.add_route(path, _file(media_type, content, CONTENT_SECURITY_POLICY))
    if services.shows_page:
        for path, (media_type, content) in page.files().items():
            api.add_route(path, _file(media_type, content, page.CONTENT_SECURITY_POLICY))
    # the questions are in the document only: FastAPI keeps an included router to itself
    paths = {route.path for route in api.routes if isinstance(route, Route)}
    return Edge(_open_to(api, services.cors_origins), frozenset(paths.union(document["paths"], [SOCKET_PATH])))


def _open_to(api: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Let pages of these origins read answers; without any, browsers let none."""
    if not origins:
        return api
    return CORSMiddleware(
        api,
        allow_origins=origins,
        allow_methods=["GET"],
        allow_headers=["Authorization", "Last-Event-ID"],
        expose_headers=["X-Request-Id", "Retry-After"],
    )


def _json(document: dict[str, Any]) -> _Endpoint:
    content = JSONResponse(document).body

    async def answer(_request: Request) -> Response:
        return StaticFile(content, media_type="application/json")

    return answer


def _file(media_type: str, content: bytes, security_policy: str) -> _Endpoint:
    headers = {"Content-Type": media_type, "Content-Security-Policy": security_policy, "Cache-Control": "no-cache"}

    async def answer(_request: Request) -> Response:
        return StaticFile(content, headers=headers)

    return answer
