"""What those who run the service ask it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from dashboard.services import Services, services_of
from telemetry import metrics
from telemetry.exposition import render
from telemetry.health import HealthReport, run_checks

router = APIRouter(tags=["operations"])

_Services = Annotated[Services, Depends(services_of)]


@router.get("/livez", operation_id="livez")
async def livez() -> dict[str, bool]:
    """Whether the process turns; asks no dependency."""
    return {"ok": True}


@router.get("/readyz", operation_id="readyz", responses={503: {"model": HealthReport}})
async def readyz(services: _Services, response: Response) -> HealthReport:
    """Whether every dependency answers: 200 or 503, the checks in both."""
    report = await run_checks(services.checks)
    response.status_code = 200 if report.ok else 503
    return report


@router.get("/metrics", operation_id="metrics", response_class=Response)
async def prometheus(services: _Services) -> Response:
    """Metrics in Prometheus' text format."""
    idle, used = services.answers.connections()
    metrics.POOL_CONNECTIONS.labels("idle").set(idle)
    metrics.POOL_CONNECTIONS.labels("used").set(used)
    body, media_type = render()
    return Response(body, media_type=media_type)
