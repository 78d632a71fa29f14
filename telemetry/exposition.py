"""Metrics in the text format of Prometheus."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from runtime.release import release
from telemetry import metrics


def render(registry: CollectorRegistry) -> tuple[bytes, str]:
    """Return the metrics of a registry and their media type. Takes milliseconds of CPU."""
    return generate_latest(registry), CONTENT_TYPE_LATEST


def publish_build() -> str:
    """Set the build metric and return the version."""
    metrics.BUILD.info({"version": release()})
    return release()
