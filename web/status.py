"""The status routes of every process: `/livez`, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp

from telemetry.exposition import render
from telemetry.health import CheckResult, HealthReport, Readiness
from telemetry.roles import Role, registry_of
from web.middleware import RequestContextMiddleware
from web.reply import Reply
from web.routing import READ, Route, Router

_NO_STORE: Final = {"cache-control": "no-store"}


def status_routes(role: Role, readiness: Readiness, *, drain: asyncio.Event, is_counted: bool = True) -> list[Route]:
    """Return the three routes. A process is ready when each of its checks has passed once and `drain` is not set."""
    registry = registry_of(role)

    async def livez(_request: Request) -> Reply:
        # without checks: an outage of a dependency must not cause restarts
        return _reply(HealthReport(ok=True, checks=[CheckResult(name="loop", ok=True, detail="turning")]))

    async def readyz(_request: Request) -> Reply:
        if drain.is_set():
            # at once, whatever the dependencies do: the load balancer has only until the end of the drain
            return _reply(HealthReport(ok=False, checks=[CheckResult(name="lifecycle", ok=False, detail="draining")]))
        return _reply(await readiness.report())

    async def metrics(_request: Request) -> Reply:
        # in a thread: rendering takes milliseconds of CPU
        body, media_type = await asyncio.to_thread(render, registry)
        return Reply(HTTPStatus.OK, body, {"content-type": media_type, **_NO_STORE})

    endpoints = {"/livez": livez, "/readyz": readyz, "/metrics": metrics}
    return [Route(path, READ, endpoint, is_counted=is_counted) for path, endpoint in endpoints.items()]


def status_application(role: Role, readiness: Readiness, *, stop: asyncio.Event) -> ASGIApp:
    """Return an application with the status routes only, for processes that serve nothing else."""
    router = Router(status_routes(role, readiness, drain=stop, is_counted=False))
    return RequestContextMiddleware(router, {"x-content-type-options": "nosniff"}, _count_nothing)


def _count_nothing(_route: str, _status: int, _seconds: float) -> None:
    pass


def _reply(report: HealthReport) -> Reply:
    status = HTTPStatus.OK if report.ok else HTTPStatus.SERVICE_UNAVAILABLE
    return Reply(status, report.model_dump_json().encode(), _NO_STORE)
