"""The ASGI application of ingest: its route table, behind the middleware of every service."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp

from ingest.rejection import defect_refusal
from telemetry import internal_events as telemetry
from telemetry import logging
from web.middleware import RequestContextMiddleware
from web.problems import Refusal
from web.routing import Route, Router

_log = logging.get("ingest")

SECURITY_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def build_application(routes: Iterable[Route]) -> ASGIApp:
    """Return the application that serves the routes."""
    router = Router(routes, defect=defect_refusal(), log_refusal=_log_refusal)
    return RequestContextMiddleware(router, SECURITY_HEADERS, telemetry.request_answered)


def _log_refusal(_error: Exception, refusal: Refusal, request_id: str) -> None:
    _log.info("refused", code=refusal.code, status=int(refusal.status), request_id=request_id)
