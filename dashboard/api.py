"""The questions as an application."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI

from dashboard import event_routes, privacy_routes, problems, routes

_DESCRIPTION: Final = (
    "Answers about learners and the platform, from aggregates only, which say through which moment they are complete;"
    " single events, for operators; and what is held on a learner, to see and to remove."
    " Every error is a problem document (RFC 9457)."
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
    api.include_router(event_routes.router)
    api.include_router(privacy_routes.router)
    return api
