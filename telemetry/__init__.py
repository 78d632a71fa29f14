"""What a process says of itself: logs, metrics, health. The only importer of structlog and prometheus_client."""
