"""The exported health of the platform's API."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from dashboard.platform_health import PlatformHealth, window_start
from runtime.errors import StorageUnavailable
from storage.answers.aggregates import RecentRequests
from telemetry import metrics

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Source:
    def __init__(self) -> None:
        self.answer: RecentRequests | None = None
        self.start: datetime | None = None

    async def recent_requests(self, start: datetime) -> RecentRequests:
        self.start = start
        if self.answer is None:
            raise StorageUnavailable("connection")
        return self.answer


def exported() -> list[float]:
    names = ("requests", "error_ratio", "p95_seconds")
    return [metrics.registry.get_sample_value(f"analytics_platform_{name}") or 0.0 for name in names]


@pytest.mark.parametrize(("minute", "second", "start"), [(0, 0, (11, 55)), (4, 59, (11, 55)), (7, 30, (12, 0))])
def test_the_window_begins_with_the_previous_bucket(minute: int, second: int, start: tuple[int, int]) -> None:
    now = NOON.replace(minute=minute, second=second)
    assert window_start(now) == NOON.replace(hour=start[0], minute=start[1])


async def test_the_figures_are_those_of_the_stored_requests() -> None:
    source = Source()
    # bucket 350 is about 1.01 seconds
    source.answer = RecentRequests({1: 90, 350: 10}, server_errors=5)
    await PlatformHealth(source, lambda: NOON).refresh()
    requests, ratio, p95 = exported()
    assert (requests, ratio) == (100, 0.05)
    assert p95 == pytest.approx(1.014, abs=0.01)
    assert source.start == NOON.replace(hour=11, minute=55)


async def test_without_requests_the_ratio_is_not_a_number() -> None:
    source = Source()
    source.answer = RecentRequests({}, server_errors=0)
    await PlatformHealth(source, lambda: NOON).refresh()
    assert metrics.registry.get_sample_value("analytics_platform_requests") == 0
    assert all(map(math.isnan, exported()[1:]))


async def test_what_cannot_be_read_is_not_a_number_and_comes_back() -> None:
    source = Source()
    health = PlatformHealth(source, lambda: NOON)
    await health.refresh()
    assert all(map(math.isnan, exported()))
    source.answer = RecentRequests({1: 1}, server_errors=0)
    await health.refresh()
    assert exported()[0] == 1
