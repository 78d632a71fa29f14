from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.freshness import Freshness
from dashboard.health import check_revision, describe_lag
from runtime.errors import StorageUnavailable, StreamUnavailable
from stream.entries.lag import GroupLag
from telemetry import metrics

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)


class Stream:
    """A scripted sample, which stops the loop after its last answer."""

    def __init__(self, *answers: datetime | Exception) -> None:
        self.answers = list(answers)
        self.drained = asyncio.Event()

    async def sample(self) -> datetime:
        answer = self.answers.pop(0)
        if not self.answers:
            self.drained.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_freshness_is_unknown_until_the_stream_answers() -> None:
    stream = Stream(StreamUnavailable("connection"), NOON)
    freshness = Freshness(stream.sample, lambda: NOON)
    await freshness.refresh()
    assert freshness.consistent_through is None
    await freshness.refresh()
    assert freshness.consistent_through == NOON


async def test_an_older_sample_is_kept_while_the_stream_is_away() -> None:
    stream = Stream(NOON, StreamUnavailable("timeout"))
    freshness = Freshness(stream.sample, lambda: NOON + timedelta(seconds=7))
    await freshness.refresh()
    await freshness.refresh()
    assert freshness.consistent_through == NOON
    assert metrics.registry.get_sample_value("analytics_aggregate_staleness_seconds") == 7


async def test_a_defect_of_the_sampler_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        await Freshness(Stream(ZeroDivisionError()).sample, lambda: NOON).run(asyncio.Event())


async def test_freshness_is_sampled_until_it_is_stopped() -> None:
    stream = Stream(NOON, NOON + timedelta(seconds=1))
    freshness = Freshness(stream.sample, lambda: NOON)
    await freshness.run(stream.drained)
    assert freshness.consistent_through == NOON + timedelta(seconds=1)


def test_a_schema_behind_the_code_is_not_ready_one_ahead_is() -> None:
    assert check_revision("0007", "0007") == "0007"
    assert check_revision("0008", "0007") == "0008"
    with pytest.raises(StorageUnavailable, match="analytics migrate"):
        check_revision("0006", "0007")


def lag(undelivered: int | None, seconds: float) -> GroupLag:
    return GroupLag(10, 10, undelivered, 0, NOON - timedelta(seconds=seconds), NOON)


def test_lag_covers_all_partitions() -> None:
    assert describe_lag([lag(3, 1.5), lag(4, 0.25)]) == "7 entries, 1.5 s"
    assert describe_lag([lag(3, 1.5), lag(None, 2)]) == "an unknown number of entries, 2.0 s"
