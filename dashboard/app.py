"""The ASGI application of the read service: its route table, behind the middleware of every service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard import page
from dashboard.openapi import openapi
from dashboard.questions.endpoint import question_route
from dashboard.questions.live import SOCKET_PATH, SOCKET_STATUSES, require_upgrade
from dashboard.questions.live_socket import serve_live_socket
from dashboard.questions.table import LIVE_EVENTS, QUESTIONS
from dashboard.services import Services
from runtime.errors import DependencyUnavailable
from runtime.setting_values.origins import authority_of
from telemetry import internal_events as telemetry
from telemetry import logging
from telemetry.roles import Role
from web.documentation import documentation_routes
from web.middleware import RequestContextMiddleware, context_of
from web.openapi import documented_statuses
from web.problems import Refusal, problem_reply
from web.routing import Route, Router
from web.static_file import static_route
from web.status import status_routes

SECURITY_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # no cache may keep answers about learners
    "cache-control": "private, no-store",
}

_MALFORMED_ORIGIN: Final = Refusal(
    HTTPStatus.FORBIDDEN, "foreign_origin", "Origin must be `null`, or a scheme, a host and an optional port."
)

_log = logging.get("dashboard")


def create_app(services: Services, drain: asyncio.Event) -> ASGIApp:
    """Return the read service. Its readiness ends when `drain` is set. Raises ConfigurationError."""
    document = openapi()
    routes = [
        *(question_route(question, services) for question in QUESTIONS),
        Route(SOCKET_PATH, ("GET",), require_upgrade),
        *status_routes(Role.DASHBOARD, services.readiness, drain=drain),
        *documentation_routes(document),
        *(_page_routes() if services.shows_page else ()),
    ]
    statuses = {question.path: documented_statuses(document, question.path) for question in QUESTIONS}
    telemetry.prepare_read_routes({**statuses, SOCKET_PATH: SOCKET_STATUSES})
    sockets = {SOCKET_PATH: partial(serve_live_socket, LIVE_EVENTS, services)}
    app = _open_to(Router(routes, sockets, log_refusal=_log_outage), services.cors_origins)
    return RequestContextMiddleware(_refuse_malformed_origins(app), SECURITY_HEADERS, telemetry.read_answered)


def _page_routes() -> list[Route]:
    policy = {"content-security-policy": page.CONTENT_SECURITY_POLICY, "cache-control": "no-cache"}
    return [
        static_route(path, content, {"content-type": media_type, **policy})
        for path, (media_type, content) in page.files().items()
    ]


def _open_to(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Allow pages of these origins to read answers. Without any, browsers allow no other origin."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET"],
        allow_headers=["Authorization", "Last-Event-ID"],
        expose_headers=["X-Request-Id", "Retry-After"],
    )


def _refuse_malformed_origins(app: ASGIApp) -> ASGIApp:
    """Answer requests whose Origin is malformed with 403. No browser sends such an Origin."""

    async def refuse_or_pass(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and _has_malformed_origin(scope):
            await problem_reply(_MALFORMED_ORIGIN, context_of(scope).request_id)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return refuse_or_pass


def _has_malformed_origin(scope: Scope) -> bool:
    origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), None)
    if origin is None:
        return False
    try:
        authority_of(origin)
    except ValueError:
        return True
    return False


def _log_outage(error: Exception, _refusal: Refusal, _request_id: str) -> None:
    if isinstance(error, DependencyUnavailable):
        _log.warning("answer_unavailable", dependency=error.dependency, reason=error.reason, detail=error.detail)
