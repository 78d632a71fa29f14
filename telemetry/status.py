"""The routes every process answers: `/livez`, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from telemetry.exposition import render
from telemetry.health import Check, CheckResult, HealthReport, run_checks
from telemetry.roles import Role, registry_of


def status_routes(role: Role, checks: Sequence[Check], *, stop: asyncio.Event) -> list[Route]:
    """Return the routes for liveness, readiness and metrics.

    A process is alive if it answers, and ready if it passes every check and `stop` is not set.
    """
    registry = registry_of(role)

    async def livez(_request: Request) -> Response:
        # dependencies are not checked: their outage must not cause restarts
        return _answer(HealthReport(ok=True, checks=[CheckResult(name="loop", ok=True, detail="turning")]))

    async def readyz(_request: Request) -> Response:
        report = await run_checks(checks)
        if stop.is_set():
            report.checks.append(CheckResult(name="lifecycle", ok=False, detail="draining"))
            report.ok = False
        return _answer(report)

    async def metrics(_request: Request) -> Response:
        # rendering takes milliseconds of CPU, and other requests must not wait for it
        body, media_type = await asyncio.to_thread(render, registry)
        return Response(body, headers={"content-type": media_type, "cache-control": "no-store"})

    endpoints: dict[str, Callable[[Request], object]] = {"/livez": livez, "/readyz": readyz, "/metrics": metrics}
    return [Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()]


def status_application(role: Role, checks: Sequence[Check], *, stop: asyncio.Event) -> Starlette:
    """Return an application of the status routes alone, for processes that serve nothing else."""
    application = Starlette(routes=status_routes(role, checks, stop=stop))
    # a redirect to the path without its last slash would repeat the Host header of the client
    application.router.redirect_slashes = False
    return application


def _answer(report: HealthReport) -> Response:
    return JSONResponse(report.model_dump(), 200 if report.ok else 503, headers={"cache-control": "no-store"})
