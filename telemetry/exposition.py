"""Metrics in the text format of Prometheus."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from runtime.release import release
from runtime.settings import Settings
from telemetry import metrics


def render(registry: CollectorRegistry) -> tuple[bytes, str]:
    """Return the metrics of a registry and their media type. Takes milliseconds of CPU."""
    return generate_latest(registry), CONTENT_TYPE_LATEST


def publish_process(settings: Settings) -> str:
    """Set the metrics of the version and of the settings that must be equal everywhere; return the version."""
    metrics.SETTINGS.info(
        {
            "partitions": str(settings.stream_partitions),
            "raw_retention_days": str(settings.raw_retention_days),
            "event_retention_days": str(settings.event_retention_days),
        }
    )
    metrics.BUILD.info({"version": release(), "commit": settings.build_commit or "unknown"})
    return release()
