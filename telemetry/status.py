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


def status_routes(checks: Sequence[Check], *, stop: asyncio.Event) -> list[Route]:
    """Return the three routes. Ready is who passes all checks and was not told to stop; alive is who answers."""

    async def livez(_request: Request) -> Response:
        # Nothing else is asked: an outage of a dependency must not cause restarts.
        return _answer(HealthReport(ok=True, checks=[CheckResult(name="loop", ok=True, detail="turning")]))

    async def readyz(_request: Request) -> Response:
        report = await run_checks(checks)
        if stop.is_set():
            report.checks.append(CheckResult(name="lifecycle", ok=False, detail="draining"))
            report.ok = False
        return _answer(report)

    async def metrics(_request: Request) -> Response:
        # Rendering takes milliseconds of CPU, which requests should not wait for.
        body, media_type = await asyncio.to_thread(render)
        return Response(body, headers={"content-type": media_type, "cache-control": "no-store"})

    endpoints: dict[str, Callable[[Request], object]] = {"/livez": livez, "/readyz": readyz, "/metrics": metrics}
    return [Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()]


def status_application(checks: Sequence[Check], *, stop: asyncio.Event) -> Starlette:
    """Return an application of nothing but the status routes, for processes without one of their own."""
    application = Starlette(routes=status_routes(checks, stop=stop))
    # a redirect to the path without its last slash would name whatever host the client said
    application.router.redirect_slashes = False
    return application


def _answer(report: HealthReport) -> Response:
    return JSONResponse(report.model_dump(), 200 if report.ok else 503, headers={"cache-control": "no-store"})
