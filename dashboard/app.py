"""The application: routes, errors, page, in one place."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from starlette.types import ASGIApp

from dashboard import operations, page, problems, routes
from dashboard.edge import Edge
from dashboard.openapi import describe
from dashboard.services import Services

_DESCRIPTION: Final = (
    "Answers about learners and the platform, from aggregates only. Every answer says through which moment it is"
    " complete; every error is a problem document (RFC 9457)."
)


def create_app(services: Services) -> ASGIApp:
    """Return the whole read service."""
    api = create_api()
    api.state.services = services
    if services.shows_page:
        page.add_to(api)
    return Edge(api)


def create_api() -> FastAPI:
    """Return the API and what describes it, not yet able to answer."""
    api = FastAPI(
        title="StudyIn Analytics, read service",
        version="1",
        description=_DESCRIPTION,
        # those of FastAPI load scripts from a foreign host
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    problems.install(api)
    api.include_router(routes.router)
    api.include_router(operations.router)
    document = describe(api)

    @api.get("/openapi.json", include_in_schema=False)
    async def openapi() -> dict[str, Any]:
        return document

    return api
