"""The answer about API health, from its stored record. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.answers.percentiles import percentiles
from dashboard.answers.small_groups import GroupFigures
from dashboard.answers.windows import TimeWindow
from schemas.answers.meta import HoursMeta
from schemas.answers.system import EndpointMetrics, LatencyMs, RequestStep, SystemMetrics
from storage.answers.aggregates import StepTotals, SystemRecord


def summarize(record: SystemRecord, window: TimeWindow, meta: HoursMeta, groups: GroupFigures) -> SystemMetrics:
    """Return the figures of the window, and every step of it, including empty ones."""
    server_errors = sum(step.server_errors for step in record.steps)
    requests = sum(record.latencies.values())
    steps = {step.start: step for step in record.steps}
    return SystemMetrics(
        meta=meta,
        total_requests=requests,
        latency_ms=LatencyMs(**_latency(record.latencies)),
        error_rate=_rate(server_errors, requests),
        errors_by_type=dict(record.errors),
        top_endpoints=[
            EndpointMetrics(
                endpoint=totals.endpoint,
                requests=totals.requests,
                error_rate=_rate(totals.server_errors, totals.requests),
                **_latency(record.endpoint_latencies[totals.endpoint]),
            )
            for totals in record.endpoints
        ],
        active_users=groups.figure("active_users", record.active_users, learners=record.active_users),
        step_seconds=int(window.step.total_seconds()),
        series=[
            RequestStep(start=step.start, requests=step.requests, server_errors=step.server_errors)
            for step in (steps.get(start, StepTotals(start, 0, 0)) for start in window.steps())
        ],
        suppressed=groups.suppressed,
    )


def _latency(buckets: Mapping[int, int]) -> dict[str, float | None]:
    return dict(zip(("p50", "p95", "p99"), percentiles(buckets, (50, 95, 99)), strict=True))


def _rate(errors: int, requests: int) -> float:
    return errors / requests if requests else 0.0
