"""Compares every number of the answers of the read service with that of the oracle."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import httpx

from tests.oracle.history import Known, Sent, learner_of, understood
from tests.oracle.learner import Learner
from tests.oracle.platform_model import Platform, moment_told
from tests.support.reading import HEATMAP, OVERVIEW, PROGRESS, READER, SYSTEM, answer

DAYS = (1, 2, 7, 30, 61, 365)
ZONES = ("UTC", "Europe/Rome", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York", "Pacific/Chatham")
HOURS = (1, 2, 24, 25, 168, 720)
WITHIN = 0.01
"""Allowed relative difference of a percentile."""


class Judge:
    """Compares answers and counts the compared numbers."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        sent: Sequence[Sent],
        rng: random.Random,
        erased: Collection[str] = (),
    ) -> None:
        """`sent` is in order, without events that erased learners sent after their erasure."""
        events = understood(sent)
        of_learners: dict[str, list[Known]] = defaultdict(list)
        forgotten = {learner_of(name) for name in erased}
        for event in events:
            if event.learner is not None and event.learner not in forgotten:
                of_learners[event.learner].append(event)
        self._client = client
        self._rng = rng
        self._learners = {name: Learner(own) for name, own in of_learners.items()}
        self._platform = Platform(events, forgotten)
        self.compared = 0

    async def judge_learner(self, user_id: str, windows: int) -> None:
        """Compare all three answers about a learner, for random windows."""
        learner = self._learners.get(learner_of(user_id) or "", Learner([]))
        for _ in range(windows):
            days, zone = self._rng.choice(DAYS), self._rng.choice(ZONES)
            asked: dict[str, str | int] = {"user_id": user_id, "days": days, "tz": zone}
            overview = await answer(self._client, OVERVIEW, READER, **asked)
            self._same(asked, overview_numbers(overview), learner.overview(days, zone, told_at(overview)))
            heatmap = await answer(self._client, HEATMAP, READER, **asked)
            self._same(asked, heatmap_numbers(heatmap), learner.heatmap(days, zone, told_at(heatmap)))
            progress = await answer(self._client, PROGRESS, READER, **asked)
            wanted = learner.progress(days, zone, told_at(progress))
            earned = [moment_told(one["earned_at"]) for one in progress["achievements"]]
            assert earned == sorted(earned, reverse=True)
            assert len(earned) == len(wanted["achievements"])
            self._close(asked, progress["progress_percentage"], wanted.pop("progress_percentage"), 1e-9)
            self._same(asked, progress_numbers(progress), wanted)

    async def judge_platform(self) -> None:
        """Compare the platform's metrics of every window."""
        for hours in HOURS:
            limit = self._rng.choice((1, 3, 100))
            asked: dict[str, str | int] = {"hours": hours, "limit": limit}
            metrics = await answer(self._client, SYSTEM, READER, **asked)
            wanted = self._platform.metrics(hours, told_at(metrics))
            endpoints, latency = wanted.pop("endpoints"), wanted.pop("latency_ms")
            self._same(asked, platform_numbers(metrics), wanted)
            errors = list(metrics["errors_by_type"].values())
            assert errors == sorted(errors, reverse=True)
            self._percentiles(asked, metrics["latency_ms"], latency)
            self._endpoints(asked, metrics["top_endpoints"], endpoints, limit)

    def _endpoints(self, asked: object, told: list[dict[str, Any]], wanted: dict[str, Any], limit: int) -> None:
        most = sorted((one["requests"] for one in wanted.values()), reverse=True)[:limit]
        self._same(asked, [one["requests"] for one in told], most)
        assert len({one["endpoint"] for one in told}) == len(told)
        for one in told:
            exact = wanted[one["endpoint"]]
            self._same(asked, one["requests"], exact["requests"])
            self._close(asked, one["error_rate"], exact["error_rate"], 1e-12)
            self._percentiles(asked, one, exact)

    def _percentiles(self, asked: object, told: dict[str, Any], wanted: dict[str, Any]) -> None:
        for name in ("p50", "p95", "p99"):
            if wanted[name] is None:
                self._same(asked, told[name], None)
            else:
                self._close(asked, told[name], wanted[name], WITHIN * wanted[name])

    def _close(self, asked: object, told: float, wanted: float, distance: float) -> None:
        self.compared += 1
        assert abs(told - wanted) <= distance, (asked, told, wanted)

    def _same(self, asked: object, told: Any, wanted: Any) -> None:
        self.compared += numbers_in(wanted)
        assert told == wanted, (asked, _differences(told, wanted))


def told_at(document: dict[str, Any]) -> datetime:
    """Return the time that an answer is about."""
    return datetime.fromisoformat(document["meta"]["generated_at"])


def numbers_in(value: Any) -> int:
    """Return the number of numbers, dates and names in a value."""
    match value:
        case dict():
            return sum(map(numbers_in, value.values()))
        case list() | tuple() | set():
            return sum(map(numbers_in, value))
        case _:
            return 1


def overview_numbers(document: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers in the form of the oracle."""
    window = {name: document["meta"][name] for name in ("from", "to")}
    duration = {"total_duration_microseconds": round(document["total_duration_seconds"] * 1_000_000)}
    return _without(document, "meta", "total_duration_seconds") | window | duration


def heatmap_numbers(document: dict[str, Any]) -> list[tuple[str, int, int, int]]:
    """Return the numbers in the form of the oracle."""
    return [
        (day["date"], day["activity_count"], round(day["duration_minutes"] * 60_000_000), day["xp_earned"])
        for day in document["days"]
    ]


def progress_numbers(document: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers in the form of the oracle, except the percentage."""
    return _without(document, "meta", "progress_percentage") | {
        "achievements": {
            (one["achievement_id"], one["name"], moment_told(one["earned_at"])) for one in document["achievements"]
        },
        "xp_trend": [(day["date"], day["xp"]) for day in document["xp_trend"]],
    }


def platform_numbers(document: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers in the form of the oracle, except percentiles and endpoints."""
    meta = document["meta"]
    names = ("total_requests", "error_rate", "errors_by_type", "active_users", "suppressed", "step_seconds")
    return {
        "from": moment_told(meta["from"]),
        "to": moment_told(meta["to"]),
        **{name: document[name] for name in names},
        "series": [
            (moment_told(step["start"]), step["requests"], step["server_errors"]) for step in document["series"]
        ],
    }


def _without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def _differences(told: Any, wanted: Any) -> Any:
    if isinstance(told, dict) and isinstance(wanted, dict):
        names = sorted(set(told) | set(wanted))
        return {
            name: _differences(told.get(name), wanted.get(name)) for name in names if told.get(name) != wanted.get(name)
        }
    if isinstance(told, list) and isinstance(wanted, list) and len(told) == len(wanted):
        return [pair for pair in zip(told, wanted, strict=True) if pair[0] != pair[1]][:5]
    return told, wanted
