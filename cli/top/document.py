"""The JSON document of `analytics top --json`. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cli.top.facts import PostgresFacts, RedisFacts, Sample
from cli.top.rates import UNKNOWN, rates
from runtime.errors import DependencyUnavailable


def document(previous: Sample | None, current: Sample) -> dict[str, Any]:
    """Return the document of a sample. A server that is out of reach has an `error` only; unknown values are null."""
    return {
        "at": current.at.isoformat(),
        "redis": _error(current.redis)
        if isinstance(current.redis, DependencyUnavailable)
        else _redis(previous, current, current.redis),
        "postgres": _error(current.postgres)
        if isinstance(current.postgres, DependencyUnavailable)
        else _postgres(current.postgres),
    }


def _error(error: DependencyUnavailable) -> dict[str, Any]:
    return {"error": {"reason": error.reason, "detail": error.detail}}


def _redis(previous: Sample | None, current: Sample, facts: RedisFacts) -> dict[str, Any]:
    found = rates(previous, current)
    return {
        "memory_bytes": facts.memory.used,
        "memory_limit_bytes": facts.memory.limit,
        "safe": facts.safety.is_safe,
        "replicas": facts.safety.replicas,
        "connections": facts.fleet.clients if facts.fleet else None,
        "streams": [
            {
                "partition": partition,
                "size_bytes": extent.size_bytes,
                "window_seconds": None if extent.window is None else extent.window.total_seconds(),
            }
            for partition, extent in sorted(facts.extents.items())
        ],
        "groups": [
            {
                "partition": one.partition,
                "group": one.group,
                "appended": one.books.appended,
                "settled": one.books.settled,
                "appended_per_second": found.get((one.partition, one.group), UNKNOWN).appended,
                "settled_per_second": found.get((one.partition, one.group), UNKNOWN).settled,
                "undelivered": one.lag.undelivered,
                "pending": one.lag.pending,
                "lag_seconds": one.lag.seconds,
                "oldest_pending_seconds": one.lag.pending_seconds if one.lag.pending else None,
                "consumers": one.lag.consumers,
            }
            for one in facts.groups
        ],
        "workers": [
            {
                "name": one.name,
                "group": one.group,
                "streams": one.partitions,
                "pending": one.pending,
                "idle_seconds": one.idle.total_seconds(),
            }
            for one in facts.workers
        ],
        "processes": [
            {
                "role": one.role,
                "release": one.release,
                "process": one.process,
                "partitions": one.partitions,
                "redis_connections": one.connections,
                "max_database_connections": one.database_connections,
            }
            for one in facts.fleet.services
        ]
        if facts.fleet
        else None,
        "chores": [
            {
                "name": one.name,
                "every_seconds": one.every.total_seconds(),
                "last_success": _moment(one.succeeded_at),
                "last_failure": _moment(one.failed_at),
                "error": one.error or None,
                "overdue": one.is_overdue(current.at),
            }
            for one in facts.chores
        ]
        if facts.chores is not None
        else None,
    }


def _postgres(facts: PostgresFacts) -> dict[str, Any]:
    oldest = facts.usage.oldest_transaction
    return {
        "connections": facts.usage.connections,
        "connections_limit": facts.usage.connections_limit,
        "applications": dict(facts.applications),
        "oldest_transaction_seconds": None if oldest is None else oldest.total_seconds(),
        "leader": facts.is_led,
        "dead_letters": dict(facts.dead_letters),
        "last_dead_letter": _moment(facts.last_parked_at),
        "erasures_open": len(facts.erasures_open_since),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
