"""The four questions as an application."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI

from dashboard import problems, routes

_DESCRIPTION: Final = (
    "Answers about learners and the platform, from aggregates only. Every answer says through which moment it is"
    " complete; every error is a problem document (RFC 9457)."
)


def create_api() -> FastAPI:
    """Return the application; it can answer once `state.services` is set."""
    api = FastAPI(
        title="StudyIn Analytics, read service",
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
