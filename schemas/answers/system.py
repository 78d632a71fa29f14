"""The answer about the health of the platform's API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from .meta import Count, HoursMeta

Ratio = Annotated[float, Field(ge=0, le=1)]


class LatencyMs(BaseModel):
    """Percentiles in milliseconds, within 1 % of the exact value; null without requests."""

    p50: float | None
    p95: float | None
    p99: float | None


class EndpointMetrics(BaseModel):
    """Health of one endpoint. Percentiles are in milliseconds, as in `latency_ms`."""

    endpoint: str
    requests: Count
    error_rate: Ratio
    p50: float | None
    p95: float | None
    p99: float | None


class RequestStep(BaseModel):
    """Requests of one step of the window."""

    start: datetime
    requests: Count
    server_errors: Count


class SystemMetrics(BaseModel):
    """Health of the platform's API, from `api_request` and `api_error` events."""

    meta: HoursMeta
    total_requests: Count
    latency_ms: LatencyMs
    error_rate: Ratio = Field(description="Share of requests with a status of 500 or more; 0 without requests.")
    errors_by_type: dict[str, Count] = Field(description="`api_error` events by type, most frequent first.")
    top_endpoints: list[EndpointMetrics] = Field(description="Endpoints with the most requests, most first.")
    active_users: Count | None = Field(
        description="Distinct learners with an event in the window; null when it is listed in `suppressed`."
    )
    step_seconds: Count = Field(description="Seconds of a step of `series`: 300 in windows of up to a day, else 3600.")
    series: list[RequestStep] = Field(description="Every step of the window, oldest first. The last one is incomplete.")
    suppressed: list[str] = Field(
        description="Fields that are null because they are about fewer learners than the minimum group size."
    )
