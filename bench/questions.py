"""Dashboard requests to the read service, each about another learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final
from urllib.parse import urlencode

_MOST: Final = 20_000
"""Number of learners to ask about; more than a run has time for."""

_LEARNING: Final = {
    "overview": "learning/overview",
    "heatmap": "learning/heatmap",
    "progress": "gamification/progress",
}


@dataclass(frozen=True, slots=True)
class Questions:
    """GET requests that are answered 200."""

    paths: Sequence[str]
    good: str = "200"

    def encoded(self, host: str, key: str) -> list[bytes]:
        """Return the bytes of each request."""
        return [
            f"GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\r\n".encode()
            for path in self.paths
        ]


def of_dashboards(learners: Sequence[str], now: datetime) -> dict[str, Questions]:
    """Return the requests of each endpoint by a short name. Learners are in random order, each once per cycle."""
    asked = Random("asked").sample(learners, min(len(learners), _MOST))
    month = (now - timedelta(days=30)).isoformat(timespec="seconds")
    return {
        **{
            name: Questions([_path(endpoint, user_id=learner) for learner in asked])
            for name, endpoint in _LEARNING.items()
        },
        "a learner's events": Questions([_path("events", user_id=learner, since=month) for learner in asked]),
        "newest events": Questions([_path("events")]),
        "system metrics": Questions([_path("system/metrics")]),
    }


def _path(endpoint: str, **parameters: str) -> str:
    return f"/api/analytics/{endpoint}" + (f"?{urlencode(parameters)}" if parameters else "")
