"""The pure decisions of sending: the meaning of an answer, the delays, and the schedule."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from studyin_analytics import ConfigurationError
from studyin_analytics.answers import BatchVerdicts, BodyRefused, Busy, Failed, SenderRefused, read_answer
from studyin_analytics.isolation import QUICK_FAILURES, Isolation
from studyin_analytics.options import OptionKeywords, Options
from studyin_analytics.retry import LONGEST_RETRY_AFTER, Backoff, retry_after_seconds
from studyin_analytics.schedule import Schedule
from studyin_analytics.suspicion import PATIENCE_SECONDS, Suspicion, is_poison, suspicion_after

from tests.support.scripted_ingest import verdicts

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(status, Busy) for status in (408, 425, 429, 502, 503, 504)]
    + [(status, Failed) for status in (500, 501, 505, 507, 599)]
    + [(status, BodyRefused) for status in (400, 413, 422)]
    + [(status, SenderRefused) for status in (200, 204, 301, 401, 403, 404, 405, 415)],
)
def test_each_status_means_one_thing(status: int, meaning: type) -> None:
    assert isinstance(read_answer(status, b"<html>", 1), meaning)


def test_verdicts_are_by_position_and_what_has_none_is_not_settled() -> None:
    body: dict[str, Any] = dict(verdicts(["accepted", "rejected", "retry", "accepted"]).body)
    answer = read_answer(207, json.dumps(body | {"results": body["results"][:3]}).encode(), 4)
    assert isinstance(answer, BatchVerdicts)
    assert (answer.accepted, list(answer.rejected)) == ([0], [1])


def test_a_202_without_verdicts_is_no_answer_of_ingest() -> None:
    assert isinstance(read_answer(202, b"OK", 1), SenderRefused)


def test_only_a_defect_accuses_the_event_that_is_to_be_sent_again() -> None:
    body = dict(verdicts(["accepted", "retry", "retry"]).body)
    body["results"][2]["code"] = "defect"
    answer = read_answer(207, json.dumps(body).encode(), 3)
    assert isinstance(answer, BatchVerdicts)
    assert (answer.accepted, answer.defective) == ([0], [2])


@pytest.mark.parametrize("status", [404, 405])
def test_an_answer_of_another_service_asks_for_the_url(status: int) -> None:
    answer = read_answer(status, b'{"code": "not_found", "detail": "No such path."}', 1)
    assert isinstance(answer, SenderRefused)
    assert "check that url is the URL of ingest" in answer.detail


class TestSuspicion:
    def test_a_failure_counts_only_when_others_were_settled_since_the_try_before(self) -> None:
        first = suspicion_after(None, settled=7, now=100)
        assert first == Suspicion(tries=1, strikes=0, since=100, settled=7)
        in_outage = suspicion_after(first, settled=7, now=200)
        assert in_outage == Suspicion(tries=2, strikes=0, since=100, settled=7)
        assert suspicion_after(in_outage, settled=8, now=300) == Suspicion(tries=3, strikes=1, since=100, settled=8)

    def test_an_event_is_given_up_after_its_strikes_or_after_days_of_silence_of_others(self) -> None:
        assert not is_poison(Suspicion(tries=9, strikes=2, since=0, settled=1), 3, now=PATIENCE_SECONDS - 1)
        assert is_poison(Suspicion(tries=9, strikes=3, since=0, settled=1), 3, now=1)
        assert is_poison(Suspicion(tries=9, strikes=0, since=0, settled=1), 3, now=PATIENCE_SECONDS)
        assert not is_poison(Suspicion(tries=3, strikes=0, since=0, settled=1), 3, now=PATIENCE_SECONDS)


class TestIsolation:
    @pytest.fixture
    def isolation(self) -> Isolation:
        return Isolation(100, Backoff(0.5, 30.0, lambda: 1.0))

    def test_batches_are_halved_quickly_and_grow_again_with_success(self, isolation: Isolation) -> None:
        limits = []
        while isolation.limit > 1:
            assert isolation.batch_failed(isolation.limit) <= 0.05
            limits.append(isolation.limit)
        assert limits == [50, 25, 12, 6, 3, 1]
        isolation.settled(was_suspect=True)
        assert isolation.limit == 1
        isolation.settled(was_suspect=False)
        assert isolation.limit == 2

    def test_a_few_events_that_fail_alone_slow_nothing_down_and_many_in_a_row_do(self, isolation: Isolation) -> None:
        waits = [isolation.event_failed(was_suspect=False, now=0) for _ in range(QUICK_FAILURES + 3)]
        assert max(waits[:QUICK_FAILURES]) <= 0.05
        assert waits[QUICK_FAILURES:] == [0.5, 1, 2]

    def test_after_many_bad_events_the_other_end_is_looked_at(self, isolation: Isolation) -> None:
        turns = []
        for _ in range(QUICK_FAILURES + 4):
            turns.append(isolation.is_turn_of_newest)
            isolation.event_failed(was_suspect=False, now=0)
        assert turns == [False] * QUICK_FAILURES + [True, False] * 2
        isolation.settled(was_suspect=False)
        assert not isolation.is_turn_of_newest

    def test_a_suspect_goes_only_behind_others_that_went_well(self, isolation: Isolation) -> None:
        assert isolation.seconds_to_suspect(0) is None
        isolation.suspects_wait(3, now=0)
        assert isolation.seconds_to_suspect(1) == 2
        isolation.settled(was_suspect=False)
        assert not isolation.is_suspects_turn(2)
        assert isolation.is_suspects_turn(3)
        isolation.busy()
        assert not isolation.is_suspects_turn(3)
        assert isolation.may_try_suspect(3)

    def test_suspects_alone_are_tried_ever_more_rarely_and_hold_up_nobody(self, isolation: Isolation) -> None:
        isolation.suspects_wait(0, now=0)
        assert isolation.event_failed(was_suspect=True, now=0) == 0
        assert isolation.seconds_to_suspect(0) == 0.5
        isolation.event_failed(was_suspect=True, now=0)
        assert isolation.seconds_to_suspect(0) == 1
        isolation.settled(was_suspect=False)
        assert isolation.seconds_to_suspect(0) == 0


def test_waits_double_up_to_a_limit_and_chance_takes_any_part_of_them() -> None:
    assert [Backoff(0.5, 30, lambda: 1.0).delay(failures) for failures in (1, 2, 3, 7, 999)] == [0.5, 1, 2, 30, 30]
    assert Backoff(0.5, 30, lambda: 0.0).delay(5) == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("7", 7),
        (" 7 ", 7),
        ("-3", 0),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("soon", 0),
        ("9999999", LONGEST_RETRY_AFTER),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float) -> None:
    assert retry_after_seconds(header, NOW) == seconds


class TestSchedule:
    @pytest.fixture
    def schedule(self) -> Schedule:
        return Schedule(flush_at=3, flush_interval=10)

    def test_the_first_event_waits_for_others_and_a_full_batch_for_none(self, schedule: Schedule) -> None:
        assert schedule.seconds_left(0) is None
        assert schedule.event_came(0)
        assert not schedule.event_came(4)
        assert schedule.seconds_left(4) == 6
        assert schedule.event_came(5)
        assert schedule.seconds_left(5) == 0

    def test_a_hurry_waits_for_nothing(self, schedule: Schedule) -> None:
        schedule.event_came(0)
        schedule.hurry(1)
        left = schedule.seconds_left(1)
        assert left is not None
        assert left <= 0

    def test_nothing_is_sent_sooner_than_ingest_asks_for(self, schedule: Schedule) -> None:
        schedule.event_came(0)
        schedule.pause(0, retry_after=60, delay=8, shortest=0.5)
        assert schedule.seconds_left(0) == 68
        schedule.hurry(0)
        assert schedule.seconds_left(0) == 60.5

    def test_a_hurry_shortens_one_wait_and_not_the_next(self, schedule: Schedule) -> None:
        schedule.event_came(0)
        schedule.hurry(0)
        schedule.turn_taken()
        schedule.pause(0, retry_after=0, delay=8, shortest=0.5)
        schedule.more_waits(0)
        assert schedule.seconds_left(0) == 8

    def test_the_end_comes_when_nothing_waits_or_nothing_can_be_sent_in_time(self, schedule: Schedule) -> None:
        schedule.event_came(0)
        assert not schedule.is_over(0)
        schedule.end_by(5)
        assert not schedule.is_over(0)
        assert schedule.is_over(5)
        schedule.turn_taken()
        assert schedule.is_over(0)
        schedule.pause(0, retry_after=6, delay=0, shortest=0)
        schedule.more_waits(0)
        assert schedule.is_over(0)

    def test_who_hurries_while_a_batch_is_under_way_is_not_forgotten(self, schedule: Schedule) -> None:
        schedule.event_came(0)
        schedule.turn_taken()
        schedule.event_came(1)
        schedule.hurry(1)
        schedule.nothing_left()
        left = schedule.seconds_left(1)
        assert left is not None
        assert left <= 0


def test_keywords_are_the_options() -> None:
    assert set(OptionKeywords.__annotations__) == set(Options.__dataclass_fields__)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flush_at": "100"},
        {"max_queue": True},
        {"flush_interval": None},
        {"on_error": "print"},
        {"before_send": 5},
        {"spool_dir": 7},
        {"max_event_attempts": 0},
        {"exit_timeout": -1},
    ],
)
def test_a_wrong_type_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Options(**wrong)


@pytest.mark.parametrize("wrong", [{"flush_at": 0}, {"flush_at": 5_000}, {"max_batch_bytes": 2**30}, {"timeout": 0}])
def test_what_cannot_work_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Options(**wrong)


@pytest.mark.parametrize("name", ["disabled", "strict"])
def test_a_text_is_no_flag(name: str) -> None:
    chosen: dict[str, Any] = {name: "no"}
    with pytest.raises(ConfigurationError, match=f"{name} must be True or False"):
        Options(**chosen)
