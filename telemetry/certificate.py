"""Reports the certificate that a process serves. One call writes one log line and its metrics."""

from __future__ import annotations

from datetime import datetime

from telemetry import logging, metrics
from telemetry.labels import CertificateLoad

_log = logging.get("analytics")


def certificate_loaded(expires_at: datetime) -> None:
    """New connections use the certificate in the files from now on."""
    metrics.CERTIFICATE_EXPIRY.set(expires_at.timestamp())
    metrics.CERTIFICATE_LOADS.labels(CertificateLoad.LOADED).inc()
    _log.info("certificate_loaded", expires_at=expires_at.isoformat())


def certificate_refused(error: Exception) -> None:
    """The files of the certificate cannot be used; new connections use the one before."""
    metrics.CERTIFICATE_LOADS.labels(CertificateLoad.REFUSED).inc()
    _log.error("certificate_refused", detail=str(error))
