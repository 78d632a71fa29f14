"""The four questions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import HTTPConnection

from dashboard import learner_answers, system_answers
from dashboard.audit_trail import AuditedRoute, note_asked
from dashboard.callers import Caller, require
from dashboard.parameters import LastDay, LastMonth, LastYear, refuse_repeated, zone
from dashboard.percent_encoding import refuse_unreadable
from dashboard.problems import described
from dashboard.services import Services, services_of
from dashboard.small_groups import GroupFigures
from dashboard.windows import DayWindow, complete_from, date_in, last_days, last_hours
from schemas.answers import (
    DaysMeta,
    GamificationProgress,
    HoursMeta,
    LearningHeatmap,
    LearningOverview,
    SystemMetrics,
)
from storage.answers.aggregates import LearnerRecord
from storage.batches.verify import expiry_cutoff

router = APIRouter(prefix="/api/analytics", responses=described(), route_class=AuditedRoute)

# Only for the description: the gate reads the headers itself.
_BEARER = HTTPBearer(auto_error=False, description="A learner's token (JWT) or a service's key.")
_API_KEY = APIKeyHeader(name="X-API-Key", auto_error=False, description="A service's key.")


def identify(connection: HTTPConnection, authorization: str | None) -> Caller:
    """Return who asks, and remember it for the record.

    Raises Refusal, also for a parameter that cannot be read or is given twice.
    """
    address = connection.client.host if connection.client else None
    gate = services_of(connection).gate
    caller = gate.identify(authorization, connection.headers.get("X-API-Key"), address)
    connection.state.caller = caller
    # once it is known who asks: strangers learn nothing of parameters
    scope = connection.scope
    refuse_unreadable(scope.get("raw_path", b""), connection.path_params, scope["query_string"])
    refuse_repeated(connection.query_params)
    return caller


# Coroutines, though they wait for nothing: FastAPI gives a function to a thread, for every request.
async def _identify(request: Request) -> Caller:
    return identify(request, request.headers.get("Authorization"))


async def _services(request: Request) -> Services:
    return services_of(request)


# Identified before any parameter is looked at: who may not ask learns nothing of how to.
AnyCaller = Annotated[Caller, Depends(_identify)]
SomeServices = Annotated[Services, Depends(_services)]
SECURITY = [Depends(_BEARER), Depends(_API_KEY)]


@dataclass(frozen=True, slots=True)
class _Reading:
    record: LearnerRecord
    window: DayWindow
    meta: DaysMeta


async def _read(request: Request, services: Services, caller: Caller, query: LastMonth | LastYear) -> _Reading:
    note_asked(request, query.span())
    pseudonyms = services.gate.learner(caller, query.user_id)
    now = services.clock()
    # taken before the database is read
    consistent_through = services.freshness.consistent_through
    today = date_in(zone(query.tz), now)
    record = await services.answers.learner(pseudonyms, today, query.days, now, services.session_timeout)
    window = last_days(record.reference_day, query.days)
    meta = DaysMeta(
        consistent_through=consistent_through,
        generated_at=now,
        from_=window.first,
        to=window.last,
        timezone=query.tz,
    )
    return _Reading(record, window, meta)


@router.get("/learning/overview", dependencies=SECURITY, tags=["learning"], operation_id="learning_overview")
async def learning_overview(
    request: Request, caller: AnyCaller, services: SomeServices, query: Annotated[LastMonth, Query()]
) -> LearningOverview:
    """Sessions, materials, XP, level, streaks and achievements of a learner's last days."""
    reading = await _read(request, services, caller, query)
    return learner_answers.overview(reading.record, reading.window, services.curve, reading.meta)


@router.get(
    "/learning/heatmap",
    dependencies=SECURITY,
    tags=["learning"],
    operation_id="learning_heatmap",
    response_model=LearningHeatmap,
)
async def learning_heatmap(
    request: Request, caller: AnyCaller, services: SomeServices, query: Annotated[LastYear, Query()]
) -> Response:
    """A learner's calendar: activity, minutes and XP of every day."""
    reading = await _read(request, services, caller, query)
    content = learner_answers.heatmap(reading.record, reading.window, reading.meta)
    return Response(content, media_type="application/json")


@router.get(
    "/gamification/progress", dependencies=SECURITY, tags=["gamification"], operation_id="gamification_progress"
)
async def gamification_progress(
    request: Request, caller: AnyCaller, services: SomeServices, query: Annotated[LastMonth, Query()]
) -> GamificationProgress:
    """Where a learner stands, every achievement, and the XP of every day."""
    reading = await _read(request, services, caller, query)
    return learner_answers.progress(reading.record, reading.window, services.curve, reading.meta)


@router.get(
    "/system/metrics",
    dependencies=SECURITY,
    tags=["system"],
    operation_id="system_metrics",
    response_model=SystemMetrics,
)
async def system_metrics(
    request: Request, caller: AnyCaller, services: SomeServices, query: Annotated[LastDay, Query()]
) -> Response:
    """Latency, errors, busiest endpoints and active users of the platform's last hours."""
    require(caller, "system:read")
    note_asked(request, query.span())
    now = services.clock()
    make = partial(_system_metrics, services, query, now)
    return Response(
        await services.shared_metrics.get((query.hours, query.limit), now, make), media_type="application/json"
    )


async def _system_metrics(services: Services, query: LastDay, now: datetime) -> bytes:
    window = last_hours(now, query.hours)
    meta = HoursMeta(
        consistent_through=services.freshness.consistent_through,
        generated_at=now,
        from_=window.start,
        to=window.end,
        complete_from=complete_from(window, expiry_cutoff(now, services.system_metrics_retention)),
    )
    record = await services.answers.system(window.start, window.end, window.step, query.limit)
    answer = system_answers.system_metrics(record, window, meta, GroupFigures(services.min_group_size))
    return answer.model_dump_json(by_alias=True).encode()
