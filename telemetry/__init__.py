"""Logs, metrics and health of a process. The only importer of structlog and prometheus_client."""
