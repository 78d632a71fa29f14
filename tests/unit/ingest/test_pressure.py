"""The pure decision when ingest refuses events."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from ingest.backpressure import Limits, PressureGauge, classify_load
from runtime.errors import StreamUnavailable
from runtime.settings import Settings
from stream.entries.trimmer import memory_budget
from stream.server.load import StreamLoad
from telemetry.labels import BackpressureReason

CALM = StreamLoad(unsettled=10, unsettled_bytes=1_000, used_memory=500, max_memory=1_000, append_only_file=True)
LIMITS = Limits(backlog_events=10, stream_bytes=1_000, needs_append_only_file=True)


@pytest.mark.parametrize(
    ("load", "limits", "pressure"),
    [
        (CALM, LIMITS, None),
        (replace(CALM, unsettled=11), LIMITS, BackpressureReason.BACKLOG_FULL),
        (replace(CALM, unsettled=11), replace(LIMITS, backlog_events=0), None),
        (replace(CALM, unsettled_bytes=1_001), LIMITS, BackpressureReason.STREAM_FULL),
        (replace(CALM, used_memory=850), LIMITS, None),
        (replace(CALM, used_memory=851), LIMITS, BackpressureReason.MEMORY_SHORT),
        (replace(CALM, used_memory=10**12, max_memory=0), LIMITS, None),
        (replace(CALM, append_only_file=False), LIMITS, BackpressureReason.NOT_DURABLE),
        (replace(CALM, append_only_file=False), replace(LIMITS, needs_append_only_file=False), None),
    ],
)
def test_why_events_are_refused(load: StreamLoad, limits: Limits, pressure: BackpressureReason | None) -> None:
    assert classify_load(load, limits) is pressure


async def test_while_redis_does_not_say_how_full_it_is_nothing_is_refused_for_it() -> None:
    answers: list[StreamLoad | StreamUnavailable] = [
        replace(CALM, unsettled=11),
        StreamUnavailable("timeout"),
        replace(CALM, unsettled=11),
        CALM,
    ]

    async def measure() -> StreamLoad:
        answer = answers.pop(0)
        if isinstance(answer, StreamUnavailable):
            raise answer
        return answer

    gauge = PressureGauge(measure, LIMITS)
    seen = []
    while answers:
        await gauge.sample()
        seen.append(gauge.pressure)
    assert seen == [BackpressureReason.BACKLOG_FULL, None, BackpressureReason.BACKLOG_FULL, None]


async def test_a_change_of_the_pressure_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    monkeypatch.setattr("telemetry.internal_events.pressure_changed", reported.append)
    monkeypatch.setattr("telemetry.internal_events.load_unknown", reported.append)
    unknown = StreamUnavailable("timeout")
    answers: list[StreamLoad | StreamUnavailable] = [
        CALM,
        replace(CALM, unsettled=11),
        replace(CALM, unsettled=12),
        unknown,
        CALM,
    ]

    async def measure() -> StreamLoad:
        answer = answers.pop(0)
        if isinstance(answer, StreamUnavailable):
            raise answer
        return answer

    gauge = PressureGauge(measure, LIMITS)
    while answers:
        await gauge.sample()
    assert reported == [BackpressureReason.BACKLOG_FULL, unknown, None]


async def test_a_gauge_takes_samples_until_it_is_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.backpressure.SAMPLE_INTERVAL", timedelta(milliseconds=1))
    stop = asyncio.Event()
    answers = [CALM, CALM, CALM]

    async def measure() -> StreamLoad:
        answer = answers.pop()
        if not answers:
            stop.set()
        return answer

    await PressureGauge(measure, LIMITS).run(stop)
    assert answers == []


def test_the_limits_are_those_of_the_settings() -> None:
    settings = Settings.model_validate({"environment": "dev", "max_backlog_events": 7, "stream_max_bytes": 2**20})
    assert Limits.of(settings) == Limits(7, 2**20, needs_append_only_file=False)
    assert Limits.of(
        settings.model_copy(update={"environment": "production", "durability": "local"})
    ).needs_append_only_file


async def test_a_gauge_looks_no_more_once_told_to_stop() -> None:
    async def measure() -> StreamLoad:
        raise AssertionError

    stop = asyncio.Event()
    stop.set()
    await PressureGauge(measure, LIMITS).run(stop)


@pytest.mark.parametrize(
    ("wanted", "max_memory", "others", "budget"),
    [(2_000, 0, 100, 2_000), (2_000, 9_000, 100, 2_000), (2_000, 900, 100, 500), (2_000, 900, 700, 0)],
)
def test_streams_never_keep_so_much_that_ingest_must_refuse(
    wanted: int, max_memory: int, others: int, budget: int
) -> None:
    assert memory_budget(wanted, max_memory, others) == budget
