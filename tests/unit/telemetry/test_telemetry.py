"""Logs hold no personal data, metrics start at zero, health reports causes."""

from __future__ import annotations

import asyncio
import json
import logging as stdlib_logging
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from runtime.errors import StorageUnavailable, StreamUnavailable
from runtime.settings import Settings
from schemas.catalogue import EventType
from telemetry import exposition, health, internal_events, logging, metrics
from telemetry.health import Check, Readiness
from telemetry.labels import BatchStage, DeadLetterReason, IngestOutcome, SegmentOutcome
from telemetry.roles import Role
from tests.support.hostile import HOSTILE, steering
from web.status import status_application


def settings(**fields: Any) -> Settings:
    return Settings.model_validate({"log_format": "json"} | fields)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = stdlib_logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_json_on_stderr_with_its_component_level_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(settings())
    logging.get("ingest").info("something", count=3)
    [line] = lines(capsys)
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo is not None
    assert line == {"event": "something", "component": "ingest", "level": "info", "count": 3}


def test_a_line_carries_the_fields_of_its_task(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(settings())
    logging.bind(consumer="c1")
    token = logging.request_id.set("r1")
    logging.get("ingest").info("within")
    logging.request_id.reset(token)
    logging.get("ingest").info("after")
    within, after = lines(capsys)
    assert (within["consumer"], within["request_id"], after["consumer"]) == ("c1", "r1", "c1")
    assert "request_id" not in after


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(settings(log_level="warning"))
    logging.get("ingest").info("unimportant")
    logging.get("ingest").warning("important")
    assert [line["event"] for line in lines(capsys)] == ["important"]


def test_without_a_terminal_auto_is_json_and_console_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(settings(log_format="auto"))
    logging.get("ingest").info("one")
    assert lines(capsys)[0]["event"] == "one"
    logging.configure(settings(log_format="console"))
    logging.get("ingest").info("two")
    text = capsys.readouterr().err
    assert "two" in text
    assert not text.startswith("{")


def test_what_others_wrote_does_not_steer_the_terminal_of_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(settings(log_format="console"))
    logging.get("x").error(HOSTILE, why=HOSTILE)
    logging.get("x").error("failed", exc_info=StorageUnavailable("connection", HOSTILE))
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)
    assert steering(said) == []
    assert r"x\x1b]0;title\x07" in said


def fail_with(user_id: str) -> None:
    try:
        json.loads("{}")[user_id]
    except KeyError as error:
        raise ValueError(f"no such learner: {user_id}") from error


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("through_the_standard_library", [True, False])
def test_exceptions_are_logged_by_type_and_place_without_values(
    capsys: pytest.CaptureFixture[str], log_format: str, through_the_standard_library: bool
) -> None:
    logging.configure(settings(log_format=log_format))
    try:
        fail_with("canary-4711")
    except ValueError:
        if through_the_standard_library:
            stdlib_logging.getLogger("some.library").exception("it broke")
        else:
            logging.get("ingest").error("it broke", exc_info=True)
    text = capsys.readouterr().err
    assert "it broke" in text
    assert "builtins.ValueError" in text
    assert "builtins.KeyError" in text
    assert "fail_with" in text
    assert "canary-4711" not in text


def test_our_own_errors_keep_their_message(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(settings())
    logging.get("ingest").error("it broke", exc_info=StreamUnavailable("timeout", "no answer"))
    [line] = lines(capsys)
    assert line["exception"][0]["message"] == "stream unavailable (timeout): no answer"


def test_debug_output_of_libraries_is_never_written(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(settings(log_level="debug"))
    stdlib_logging.getLogger("some.library").debug("sending user-17")
    stdlib_logging.getLogger("some.library").warning("slow")
    assert [line["event"] for line in lines(capsys)] == ["slow"]


def samples() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(exposition.render(metrics.registry)[0].decode())
    every = [sample for family in families for sample in family.samples]
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in every}


def sample(name: str, **labels: str) -> float:
    return samples()[name, frozenset(labels.items())]


def test_every_known_label_value_is_there_before_the_first_event() -> None:
    for outcome in IngestOutcome:
        assert sample("analytics_ingest_events_total", outcome=outcome) >= 0
    for of_segment in SegmentOutcome:
        assert sample("analytics_segment_events_total", outcome=of_segment) >= 0
    for event_type in EventType:
        assert sample("analytics_ingest_accepted_events_total", event_type=event_type) >= 0
    for stage in BatchStage:
        assert sample("analytics_batch_duration_seconds_count", stage=stage) >= 0
    for reason in DeadLetterReason:
        assert sample("analytics_dead_lettered_events_total", reason=reason) >= 0
    assert sample("analytics_retries_total", dependency="storage", reason="timeout") >= 0
    assert sample("analytics_end_to_end_seconds_count", consumer_group="store") >= 0


def test_the_exposition_has_memory_build_and_the_settings_that_must_be_equal() -> None:
    settings = Settings(
        environment="dev", build_commit="abc1234", stream_partitions=3, raw_retention_days=30, event_retention_days=5
    )
    release = exposition.publish_process(settings)
    assert sample("analytics_build_info", version=release, commit="abc1234") == 1
    equal = {"partitions": "3", "raw_retention_days": "30", "event_retention_days": "5"}
    assert sample("analytics_settings_info", **equal) == 1
    assert sample("process_resident_memory_bytes") > 0
    assert exposition.render(metrics.registry)[1].startswith("text/plain")


def test_a_build_without_a_commit_says_so() -> None:
    release = exposition.publish_process(Settings(environment="dev", build_commit=""))
    assert sample("analytics_build_info", version=release, commit="unknown") == 1


def test_a_committed_batch_counts_each_fate_once() -> None:
    before = samples()
    counts = {"stored": 5, "duplicate": 2, "suppressed": 1, "dead_lettered": 1, "redelivered": 3}
    times = internal_events.StageTimes({BatchStage.READ: 0.1, BatchStage.WRITE: 0.2})
    internal_events.batch_committed(counts, times, oldest_age=0.5)
    after = samples()

    def growth(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return after[key] - before[key]

    for result, count in counts.items():
        assert growth("analytics_consumed_events_total", consumer_group="store", result=result) == count
    assert growth("analytics_redelivered_events_total") == 3
    assert growth("analytics_batch_events_sum") == 12
    assert growth("analytics_batch_duration_seconds_sum", stage="write") == pytest.approx(0.2)
    assert growth("analytics_end_to_end_seconds_sum", consumer_group="store") == pytest.approx(0.5)
    assert sample("analytics_last_commit_timestamp_seconds", consumer_group="store") > 0


def test_what_did_not_work_is_logged_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(settings())
    before = sample("analytics_retries_total", dependency="storage", reason="timeout")
    internal_events.retrying(StorageUnavailable("timeout", "20 s"), attempt=2, wait=0.123)
    [line] = lines(capsys)
    assert (line["level"], line["reason"], line["attempt"], line["wait_seconds"]) == ("warning", "timeout", 2, 0.12)
    assert sample("analytics_retries_total", dependency="storage", reason="timeout") == before + 1


async def answers() -> str:
    return "answers"


async def is_away() -> str:
    raise StreamUnavailable("connection", "refused")


async def hangs() -> str:
    await asyncio.Event().wait()
    raise AssertionError


async def is_broken() -> str:
    raise ZeroDivisionError


class Outage:
    """A dependency that is reached until it is away or hangs."""

    def __init__(self) -> None:
        self.state: Callable[[], Awaitable[str]] = answers

    async def check(self) -> str:
        return await self.state()


async def test_a_report_has_every_check_and_says_what_is_wrong() -> None:
    report = await Readiness([Check("postgres", answers), Check("redis", is_away)]).report()
    assert not report.ok
    assert [(check.name, check.ok, check.detail) for check in report.checks] == [
        ("postgres", True, "answers"),
        ("redis", False, "stream unavailable (connection): refused"),
    ]
    assert (await Readiness([Check("postgres", answers)]).report()).ok


async def test_an_outage_is_reported_and_does_not_end_readiness() -> None:
    redis = Outage()
    readiness = Readiness([Check("postgres", answers), Check("redis", redis.check)])
    redis.state = is_away
    assert not (await readiness.report()).ok
    redis.state = answers
    assert (await readiness.report()).ok
    redis.state = is_away
    report = await readiness.report()
    assert report.ok
    assert [(check.name, check.ok) for check in report.checks] == [("postgres", True), ("redis", False)]


async def test_checks_that_never_passed_at_the_same_time_make_it_ready() -> None:
    postgres, redis = Outage(), Outage()
    readiness = Readiness([Check("postgres", postgres.check), Check("redis", redis.check)])
    postgres.state = is_away
    assert not (await readiness.report()).ok
    postgres.state, redis.state = answers, is_away
    assert (await readiness.report()).ok


async def test_a_dependency_that_hangs_does_not_hold_up_the_probe_of_a_ready_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "_PATIENCE_SECONDS", 0.01)
    redis = Outage()
    readiness = Readiness([Check("redis", redis.check)])
    assert (await readiness.report()).ok
    redis.state = hangs
    report = await readiness.report()
    assert (report.ok, report.checks[0].ok) == (True, False)
    assert "no answer" in report.checks[0].detail


async def test_a_defect_in_a_check_is_no_outage() -> None:
    with pytest.raises(ZeroDivisionError):
        await Readiness([Check("redis", is_broken)]).report()


def asked(checks: list[Check], stop: asyncio.Event) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(status_application(Role.WORKER, Readiness(checks), stop=stop))
    return httpx.AsyncClient(transport=transport, base_url="http://status")


async def test_a_path_with_a_slash_more_is_no_redirect_to_the_host_that_was_asked() -> None:
    async with asked([], asyncio.Event()) as client:
        given = await client.get("/livez/", headers={"Host": "evil.example"})
        assert (given.status_code, given.headers.get("location")) == (200, None)


async def test_readiness_requires_checks_that_have_passed_and_no_shutdown() -> None:
    stop, redis = asyncio.Event(), Outage()
    async with asked([Check("redis", redis.check)], stop) as client:
        redis.state = is_away
        refused = await client.get("/readyz")
        assert (refused.status_code, refused.json()["checks"][0]["ok"]) == (503, False)
        redis.state = answers
        assert (await client.get("/readyz")).status_code == 200
        redis.state = is_away
        outage = await client.get("/readyz")
        assert (outage.status_code, outage.json()["checks"][0]["ok"]) == (200, False)
        stop.set()
        draining = await client.get("/readyz")
        assert draining.status_code == 503
        assert draining.json()["checks"] == [{"name": "lifecycle", "ok": False, "detail": "draining"}]
        assert (await client.get("/livez")).status_code == 200


async def test_liveness_does_not_depend_on_dependencies() -> None:
    async with asked([Check("redis", is_away)], asyncio.Event()) as client:
        assert (await client.get("/livez")).status_code == 200


async def test_metrics_are_served_beside_health() -> None:
    async with asked([], asyncio.Event()) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "analytics_consumed_events_total" in answer.text
    assert "analytics_ingest_events_total" not in answer.text


def test_a_late_gauge_has_no_sample_until_it_is_set() -> None:
    gauge = metrics.LateGauge("analytics_tests_late", "Of this test.")
    try:
        assert metrics.registry.get_sample_value("analytics_tests_late") is None
        gauge.set(7)
        assert metrics.registry.get_sample_value("analytics_tests_late") == 7
    finally:
        metrics.registry.unregister(gauge)
