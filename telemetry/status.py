"""The routes every process answers: `/livez`, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.clock import utc_now
from runtime.lifecycle import Heartbeat
from telemetry.exposition import render
from telemetry.health import Check, CheckResult, HealthReport, run_checks


def status_routes(checks: Sequence[Check], *, stop: asyncio.Event, heartbeat: Heartbeat | None = None) -> list[Route]:
    """Return the three routes. Ready is who passes all checks and was not told to stop; alive is who still turns."""

    async def livez(_request: Request) -> Response:
        alive = heartbeat is None or heartbeat.is_alive(utc_now())
        result = CheckResult(name="loop", ok=alive, detail="turning" if alive else "stuck")
        return _answer(HealthReport(ok=alive, checks=[result]))

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


def status_application(
    checks: Sequence[Check], *, stop: asyncio.Event, heartbeat: Heartbeat | None = None
) -> Starlette:
    """Return an application of nothing but the status routes, for processes without one of their own."""
    return Starlette(routes=status_routes(checks, stop=stop, heartbeat=heartbeat))


def _answer(report: HealthReport) -> Response:
    return JSONResponse(report.model_dump(), 200 if report.ok else 503, headers={"cache-control": "no-store"})
