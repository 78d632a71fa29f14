"""The questions as an application."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from dashboard import event_routes, live_routes, privacy_routes, problems, routes
from dashboard.shortcut import Shortcut

_DESCRIPTION: Final = (
    "Answers about learners and the platform, from aggregates only, which say through which moment they are complete;"
    " single events, for operators; and what is held on a learner, to see and to remove."
    " Every error is a problem document (RFC 9457).\n\n"
    "Events as they happen: over Server-Sent Events as below, or as a WebSocket at `/api/analytics/live` with the same"
    " parameters and credentials. Its frames are JSON texts with a `type`: `welcome`, `events` (up to 500 of them),"
    " `heartbeat`, `behind`, `resync_required`; it closes with 4401 when the credentials end and 1012 when the service"
    " restarts. Where no header can be set, offer the subprotocols `analytics.v1` and `bearer.<credential>`."
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
        redirect_slashes=False,
    )
    problems.install(api)
    api.add_middleware(Shortcut, routes=[*routes.router.routes, *event_routes.router.routes])
    api.router.default = _not_found
    api.include_router(routes.router)
    api.include_router(event_routes.router)
    api.include_router(live_routes.router)
    api.include_router(privacy_routes.router)
    return api


async def _not_found(_scope: Scope, _receive: Receive, _send: Send) -> None:
    # the router's own answer to a WebSocket is a bare 403
    raise HTTPException(HTTPStatus.NOT_FOUND)
