"""Metrics in the text format of Prometheus."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from telemetry import metrics


def render(registry: CollectorRegistry) -> tuple[bytes, str]:
    """Return the metrics of a registry and their media type. Takes milliseconds of CPU."""
    return generate_latest(registry), CONTENT_TYPE_LATEST


def publish_build() -> str:
    """Set the build metric and return the version."""
    try:
        release = version("studyin-analytics")
    except PackageNotFoundError:
        release = "unknown"
    metrics.BUILD.info({"version": release})
    return release
