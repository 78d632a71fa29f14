"""What the read service answers. Every number comes from aggregate tables; every answer says how fresh it is."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Ratio = Annotated[float, Field(ge=0, le=1)]


class _Meta(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    consistent_through: datetime | None = Field(
        description="Every event accepted (202) before this moment of Redis' clock is settled; null until known."
    )
    generated_at: datetime = Field(description="When the database was about to be read.")


class DaysMeta(_Meta):
    """Freshness and window of an answer about days."""

    from_: date = Field(alias="from", description="First activity date of the window.")
    to: date = Field(
        description="Last activity date of the window, included: today in `timezone`, or the learner's last activity"
        " date if that is later."
    )
    timezone: str = Field(description="IANA name of the zone that says which day is today.")


class HoursMeta(_Meta):
    """Freshness and window of an answer about hours."""

    from_: datetime = Field(alias="from", description="Start of the window, floored to five minutes; included.")
    to: datetime = Field(description="End of the running five minutes; not included.")
    complete_from: datetime | None = Field(
        description="Start of what is still kept, where the window begins earlier: numbers lack what is older."
        " Null when the whole window is kept."
    )


class WindowMeta(_Meta):
    """Freshness and window of an answer about single events."""

    from_: datetime = Field(alias="from", description="Start of the window, included.")
    to: datetime = Field(description="End of the window, not included.")


class LearningOverview(BaseModel):
    """A learner's last days in numbers."""

    meta: DaysMeta
    total_sessions: Count = Field(description="Sessions that started on a day of the window.")
    open_sessions: Count = Field(description="Those of them without an end and not yet silent for the session timeout.")
    total_duration_seconds: float = Field(
        ge=0,
        description="Time in those sessions: as reported at their end, at most 24 hours each; else the gaps between"
        " their events, each counted up to the session timeout.",
    )
    materials_viewed: Count = Field(description="Views in the window; the same material may be among them repeatedly.")
    materials_completed: Count = Field(description="Completions in the window, as above.")
    distinct_materials_viewed: Count = Field(description="Different materials viewed in the window.")
    distinct_materials_completed: Count = Field(description="Different materials completed in the window.")
    xp_earned: Count = Field(description="In the window.")
    active_days: Count = Field(description="Days of the window with at least one learner event.")
    achievements_earned: Count = Field(description="Achievements first earned on a day of the window.")
    total_xp: Count = Field(description="All time.")
    current_level: int = Field(ge=1, description="All time.")
    current_streak: Count = Field(description="Consecutive active days up to `meta.to` or the day before.")
    longest_streak: Count = Field(description="All time.")


class HeatmapDay(BaseModel):
    """One square of the calendar."""

    date: date
    activity_count: Count = Field(description="Learner events.")
    duration_minutes: float = Field(ge=0, description="Time in the sessions that started on this day.")
    xp_earned: Count


class LearningHeatmap(BaseModel):
    """A learner's calendar: every day of the window, oldest first, also those without activity."""

    meta: DaysMeta
    days: list[HeatmapDay]


class Achievement(BaseModel):
    """An achievement at its first earning."""

    achievement_id: str
    name: str | None
    earned_at: datetime


class XpDay(BaseModel):
    """XP of one day."""

    date: date
    xp: Count


class GamificationProgress(BaseModel):
    """Where a learner stands and how it came."""

    meta: DaysMeta
    current_xp: Count = Field(description="Total XP, all time.")
    current_level: int = Field(ge=1)
    xp_for_current_level: Count = Field(description="Total XP at which the level curve reaches the current level.")
    xp_for_next_level: Count = Field(description="Total XP at which it reaches the next one.")
    progress_percentage: float = Field(ge=0, le=100, description="Way from the one to the other.")
    achievements: list[Achievement] = Field(description="All time, newest first.")
    xp_trend: list[XpDay] = Field(description="Every day of the window, oldest first.")
    reported_streak_days: int | None = Field(description="What the last `streak_update` said; shown, not trusted.")


class LatencyMs(BaseModel):
    """Percentiles in milliseconds, within 1 % of exact; null when there was no request."""

    p50: float | None
    p95: float | None
    p99: float | None


class EndpointMetrics(BaseModel):
    """Health of one endpoint; percentiles as in `latency_ms`."""

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
    top_endpoints: list[EndpointMetrics] = Field(description="By requests, most first.")
    active_users: Count | None = Field(
        description="Distinct learners with any event in the window; null when `suppressed` names it."
    )
    step_seconds: Count = Field(description="Width of a step of `series`: 300 up to a day, 3600 beyond.")
    series: list[RequestStep] = Field(description="Every step of the window, oldest first; the last one is unfinished.")
    suppressed: list[str] = Field(
        description="Fields that are null because they are about fewer learners than may be told of."
    )


class StoredEvent(BaseModel):
    """An event as it is stored."""

    event_id: UUID
    event_type: str
    user_hash: str | None = Field(
        description="Pseudonym of the learner, hexadecimal; null when the platform acted for nobody."
    )
    session_id: UUID | None
    occurred_at: datetime
    received_at: datetime = Field(description="When ingest accepted it.")
    activity_date: date = Field(description="The learner's local day.")
    schema_version: int
    source: str = Field(description="Name of the service that sent it.")
    properties: dict[str, Any]


class EventPage(BaseModel):
    """Some of the events that were searched for, newest first."""

    meta: WindowMeta
    events: list[StoredEvent]
    next_cursor: str | None = Field(description="The `cursor` of the same query for the next page; null at the end.")
