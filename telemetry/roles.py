"""Which metrics each kind of process exports: those that its code can change, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from telemetry import leader_facts, metrics
from telemetry.leader_gauge import LeaderGauge


class Role(StrEnum):
    """A kind of process."""

    INGEST = "ingest"
    WORKER = "worker"
    LIVE_WORKER = "live worker"
    MAINTENANCE = "maintenance"
    DASHBOARD = "dashboard"


LEADER_FACTS: Final = tuple(fact for fact in vars(leader_facts).values() if isinstance(fact, LeaderGauge))
"""Metrics of the process that leads maintenance."""

_EVERY_PROCESS: Final = (
    metrics.BUILD,
    metrics.CERTIFICATE_EXPIRY,
    metrics.CERTIFICATE_LOADS,
    metrics.EVENT_LOOP_DELAY,
    metrics.READY,
    metrics.REDIS_POOL_CONNECTIONS,
    metrics.REFUSED_REQUESTS,
    metrics.RETRIES,
    metrics.SETTINGS,
)
_WITH_DATABASE: Final = (metrics.POOL_CONNECTIONS, metrics.POOL_WAIT)
_PUBLIC_LISTENERS: Final = (metrics.AUTHENTICATION_FAILURES, metrics.OPEN_CONNECTIONS, metrics.REFUSED_CONNECTIONS)
_WORKERS: Final = (
    metrics.BATCH_DURATION,
    metrics.BATCH_EVENTS,
    metrics.CONSUMED_EVENTS,
    metrics.END_TO_END,
    metrics.LAST_COMMIT,
    metrics.STREAM_RECREATED,
)

EXPORTED: Final[Mapping[Role, tuple[Collector, ...]]] = {
    Role.INGEST: (
        *_EVERY_PROCESS,
        *_PUBLIC_LISTENERS,
        metrics.DETECTOR_FAILURES,
        metrics.INGEST_ACCEPTED,
        metrics.INGEST_BACKPRESSURE,
        metrics.INGEST_BATCH_EVENTS,
        metrics.INGEST_DEFECTS,
        metrics.INGEST_DURATION,
        metrics.INGEST_EVENTS,
        metrics.INGEST_HELD_EVENTS,
        metrics.INGEST_PERSONAL,
        metrics.INGEST_REQUESTS,
        metrics.PUBLISH_DURATION,
        metrics.PUBLISH_EVENTS,
        metrics.SDK_DROPPED,
        metrics.SEGMENT_EVENTS,
    ),
    Role.WORKER: (
        *_EVERY_PROCESS,
        *_WITH_DATABASE,
        *_WORKERS,
        metrics.CLAIMED,
        metrics.DEAD_LETTERS,
        metrics.ID_CONFLICTS,
        metrics.LOST,
        metrics.REDELIVERED,
    ),
    Role.LIVE_WORKER: (*_EVERY_PROCESS, *_WORKERS),
    Role.MAINTENANCE: (
        *_EVERY_PROCESS,
        *_WITH_DATABASE,
        metrics.CHORE_DURATION,
        metrics.CHORE_RUNS,
        metrics.CONSUMED_EVENTS,
        metrics.IS_LEADER,
        *LEADER_FACTS,
        metrics.STREAM_REWINDS,
    ),
    Role.DASHBOARD: (
        *_EVERY_PROCESS,
        *_WITH_DATABASE,
        *_PUBLIC_LISTENERS,
        metrics.JWKS_KEYS,
        metrics.LIVE_BEHIND,
        metrics.LIVE_FRAMES,
        metrics.LIVE_MESSAGES,
        metrics.LIVE_RESYNCS,
        metrics.LIVE_SUBSCRIBERS,
        metrics.LIVE_UNREADABLE,
        metrics.PLATFORM_ERROR_RATIO,
        metrics.PLATFORM_P95,
        metrics.PLATFORM_REQUESTS,
        metrics.READ_DURATION,
        metrics.READ_REQUESTS,
        metrics.STALENESS,
    ),
}
"""Metrics by role. Every process also exports its memory, CPU, open files and garbage collection."""


def registry_of(role: Role) -> CollectorRegistry:
    """Return a registry of the metrics that a process exports."""
    registry = CollectorRegistry()
    for collector in EXPORTED[role]:
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
