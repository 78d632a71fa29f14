"""The correct answer about the platform: docs/api.md as loops over the events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.oracle.history import EPOCH, Known, moment_of

BUCKET = 300 * 1_000_000
"""Requests are counted in buckets of five minutes, in microseconds."""
MIN_LATENCY = 0.001
"""Shorter latencies count as a microsecond. In milliseconds."""
SMALLEST_GROUP = 11
"""Minimum number of learners of a figure, unless it is zero."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Platform:
    """All events of the API and its users."""

    def __init__(self, events: Sequence[Known], erased: Collection[str | None] = ()) -> None:
        """Take all events. Those of erased learners count as requests and errors, without a learner."""
        self._events = events
        self._erased = erased

    def metrics(self, hours: int, now: datetime) -> dict[str, Any]:
        """Return every number of the platform's metrics; endpoints by name."""
        end = moment_of(now) // BUCKET * BUCKET + BUCKET
        start = moment_of(now - timedelta(hours=hours)) // BUCKET * BUCKET
        within = [event for event in self._events if start <= event.moment < end]
        requests = [event for event in within if event.type == "api_request"]
        active = len({(event.learner, event.key) for event in within if event.learner not in (None, *self._erased)})
        is_small = 0 < active < SMALLEST_GROUP
        step = BUCKET if hours <= 24 else 12 * BUCKET
        endpoints = {event.properties["endpoint"] for event in requests}
        return {
            "from": start,
            "to": end,
            "total_requests": len(requests),
            "latency_ms": percentiles(requests),
            "error_rate": error_rate(requests),
            "errors_by_type": Counter(event.properties["error_type"] for event in within if event.type == "api_error"),
            "endpoints": {name: _of_endpoint(name, requests) for name in endpoints},
            "active_users": None if is_small else active,
            "suppressed": ["active_users"] if is_small else [],
            "step_seconds": step // 1_000_000,
            "series": _series(requests, start, end, step),
        }


def percentiles(requests: Iterable[Known]) -> dict[str, float | None]:
    """Return the exact percentiles of the latencies, interpolated linearly."""
    latencies = sorted(max(event.properties["duration_ms"], MIN_LATENCY) for event in requests)
    if not latencies:
        return dict.fromkeys(QUANTILES)
    found: dict[str, float | None] = {}
    for name, quantile in QUANTILES.items():
        place = quantile * (len(latencies) - 1)
        below = int(place)
        above = min(below + 1, len(latencies) - 1)
        found[name] = latencies[below] + (latencies[above] - latencies[below]) * (place - below)
    return found


def error_rate(requests: Sequence[Known]) -> float:
    """Return the share of requests that ended with a server error."""
    return sum(map(_is_server_error, requests)) / len(requests) if requests else 0.0


def moment_told(text: str) -> int:
    """Return a time of an answer in microseconds since 1970."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def _is_server_error(event: Known) -> bool:
    return event.integer("status_code") >= 500


def _of_endpoint(name: str, requests: Sequence[Known]) -> dict[str, Any]:
    own = [event for event in requests if event.properties["endpoint"] == name]
    return {"requests": len(own), "error_rate": error_rate(own), **percentiles(own)}


def _series(requests: Sequence[Known], start: int, end: int, step: int) -> list[tuple[int, int, int]]:
    """Return start, requests and server errors of every step."""
    counts: Counter[int] = Counter((event.moment - start) // step for event in requests)
    errors: Counter[int] = Counter((event.moment - start) // step for event in requests if _is_server_error(event))
    return [(start + number * step, counts[number], errors[number]) for number in range(-(-(end - start) // step))]
