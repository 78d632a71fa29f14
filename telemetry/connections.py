"""Metrics of the connections of a listener."""

from __future__ import annotations

from telemetry import metrics


class ConnectionMetrics:
    """Counts connections as `web.server.connection_limits.ConnectionObserver`."""

    def opened(self, change: int) -> None:
        """Count a connection that was opened (1) or closed (-1)."""
        metrics.OPEN_CONNECTIONS.inc(change)

    def refused(self, reason: str) -> None:
        """Count a connection that was refused, or closed early, for the reason."""
        metrics.REFUSED_CONNECTIONS.labels(reason).inc()
