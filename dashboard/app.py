"""The application: routes, errors, documentation and page, in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from dashboard import page, problems, routes
from dashboard.edge import Edge
from dashboard.openapi import describe
from dashboard.services import Services
from runtime.offline_docs import CONTENT_SECURITY_POLICY, documentation_files
from telemetry.status import status_routes

_TITLE: Final = "StudyIn Analytics, read service"
_DESCRIPTION: Final = (
    "Answers about learners and the platform, from aggregates only. Every answer says through which moment it is"
    " complete; every error is a problem document (RFC 9457)."
)

_Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(services: Services, stop: asyncio.Event) -> ASGIApp:
    """Return the whole read service; it is not ready any more once `stop` is set. Raises ConfigurationError."""
    api = create_api()
    api.state.services = services
    api.router.routes.extend(status_routes(services.checks, stop=stop))
    api.add_route("/openapi.json", _document(api))
    for path, (media_type, content) in documentation_files(_TITLE).items():
        api.add_route(path, _file(media_type, content, CONTENT_SECURITY_POLICY))
    if services.shows_page:
        for path, (media_type, content) in page.files().items():
            api.add_route(path, _file(media_type, content, page.CONTENT_SECURITY_POLICY))
    return Edge(api, frozenset(route.path for route in api.routes if isinstance(route, Route)))


def create_api() -> FastAPI:
    """Return the four questions, not yet able to answer."""
    api = FastAPI(
        title=_TITLE,
        version="1",
        description=_DESCRIPTION,
        # FastAPI's own pages load scripts from a foreign host
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    problems.install(api)
    api.include_router(routes.router)
    return api


def _document(api: FastAPI) -> _Endpoint:
    document = describe(api)

    async def answer(_request: Request) -> Response:
        return JSONResponse(document)

    return answer


def _file(media_type: str, content: bytes, security_policy: str) -> _Endpoint:
    headers = {"Content-Type": media_type, "Content-Security-Policy": security_policy, "Cache-Control": "no-cache"}

    async def answer(_request: Request) -> Response:
        return Response(content, headers=headers)

    return answer
