"""Which metrics each kind of process exports: those that its code can change, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from telemetry import metrics


class Role(StrEnum):
    """A kind of process."""

    INGEST = "ingest"
    WORKER = "worker"
    LIVE_WORKER = "live worker"
    MAINTENANCE = "maintenance"
    DASHBOARD = "dashboard"


_EVERY_PROCESS: Final = (metrics.BUILD, metrics.REFUSED_REQUESTS, metrics.RETRIES)
_PUBLIC_LISTENERS: Final = (metrics.AUTHENTICATION_FAILURES, metrics.OPEN_CONNECTIONS, metrics.REFUSED_CONNECTIONS)
_WORKERS: Final = (
    metrics.BATCH_DURATION,
    metrics.BATCH_EVENTS,
    metrics.CLAIMED,
    metrics.CONSUMED_EVENTS,
    metrics.END_TO_END,
    metrics.LAST_COMMIT,
    metrics.LOST,
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
        *_WORKERS,
        metrics.DEAD_LETTERS,
        metrics.ID_CONFLICTS,
        metrics.REDELIVERED,
    ),
    Role.LIVE_WORKER: (*_EVERY_PROCESS, *_WORKERS),
    Role.MAINTENANCE: (
        *_EVERY_PROCESS,
        metrics.CHORE_DURATION,
        metrics.CHORE_RUNS,
        metrics.CONSUMED_EVENTS,
        metrics.ERASURE_RESIDUE,
        metrics.IS_LEADER,
        metrics.LAG_ENTRIES,
        metrics.LAG_KNOWN,
        metrics.LAG_SECONDS,
        metrics.OLDEST_NEEDED,
        metrics.PARTITION_WEEKS_AHEAD,
        metrics.PENDING_ENTRIES,
        metrics.STREAM_LENGTH,
        metrics.STREAM_MEMORY,
        metrics.STREAM_REWINDS,
    ),
    Role.DASHBOARD: (
        *_EVERY_PROCESS,
        *_PUBLIC_LISTENERS,
        metrics.JWKS_KEYS,
        metrics.LIVE_BEHIND,
        metrics.LIVE_FRAMES,
        metrics.LIVE_MESSAGES,
        metrics.LIVE_RESYNCS,
        metrics.LIVE_SUBSCRIBERS,
        metrics.LIVE_UNREADABLE,
        metrics.POOL_CONNECTIONS,
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
