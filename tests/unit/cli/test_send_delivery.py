"""The meaning of an answer, the delay before a retry, and the limit of concurrent work."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from cli.sending.delivery import RetryPolicy
from cli.sending.ingest_answers import BatchVerdicts, BodyRefused, Busy, Failed, IngestUnavailable, read_answer
from cli.sending.parallel import iterate, process_in_parallel

NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)


def test_waits_double_up_to_a_limit_and_never_end_before_the_server_asks() -> None:
    policy = RetryPolicy(first=1, longest=8)
    assert [policy.delay(failures, 0, random_fraction=1.0) for failures in range(1, 7)] == [1, 2, 4, 8, 8, 8]
    assert [policy.delay(failures, 0, random_fraction=0.0) for failures in range(1, 5)] == [0.5, 1, 2, 4]
    assert policy.delay(10_000, 0, random_fraction=1.0) == 8
    assert policy.delay(1, 30, random_fraction=0.0) >= 30


def test_verdicts_settle_all_but_what_is_to_be_sent_again() -> None:
    body = b"""{"received":3,"accepted":1,"rejected":1,"results":[
        {"index":0,"status":"accepted","event_id":"01a17b3f-35d6-7655-a084-e9870a8293b9"},
        {"index":1,"status":"retry","code":"overloaded"},
        {"index":2,"status":"rejected","code":"invalid_value","pointer":"/x","detail":"No."}]}"""
    answer = read_answer(207, "3", body, 3, NOW)
    assert isinstance(answer, BatchVerdicts)
    assert {index: verdict.status for index, verdict in answer.settled.items()} == {0: "accepted", 2: "rejected"}
    assert answer.retry_after == 3


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504, 507, 529])
def test_temporary_statuses_are_busy(status: int) -> None:
    assert read_answer(status, "2", b"", 1, NOW) == Busy(f"status {status}", 2, paced=status == 429)
    assert read_answer(status, None, b"", 1, NOW) == Busy(f"status {status}", 0)


def test_failures_and_busy_answers_are_different() -> None:
    assert read_answer(500, "2", b"", 3, NOW) == Failed("status 500", 2)
    body = b"""{"received":3,"accepted":1,"rejected":0,"results":[{"index":0,"status":"accepted"},
        {"index":1,"status":"retry","code":"overloaded"},{"index":2,"status":"retry","code":"defect"}]}"""
    answer = read_answer(207, None, body, 3, NOW)
    assert isinstance(answer, BatchVerdicts)
    assert list(answer.settled) == [0]
    assert answer.defects == frozenset({2})


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_body_may_be_refused(status: int) -> None:
    body = b'{"title":"Bad","status":400,"code":"invalid_json","detail":"Not JSON."}'
    assert read_answer(status, None, body, 1, NOW) == BodyRefused("invalid_json", "Not JSON.")
    assert isinstance(read_answer(status, None, b"<html>", 1, NOW), BodyRefused)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, b'{"detail":"No."}', "key refused"),
        (403, b"", "key refused"),
        (404, b"", "unexpected answer"),
        (501, b"", "unexpected answer"),
        (301, b"", "unexpected answer"),
        (415, b"", "unexpected answer"),
        (200, b"{}", "unexpected answer"),
        (202, b"<html>", "unexpected answer"),
    ],
)
def test_permanent_refusals_raise(status: int, body: bytes, reason: str) -> None:
    with pytest.raises(IngestUnavailable) as raised:
        read_answer(status, None, body, 1, NOW)
    assert raised.value.reason == reason


async def test_concurrency_is_limited() -> None:
    under_way, most, done = 0, 0, []

    async def work(item: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        done.append(item)

    await process_in_parallel(iterate(range(20)), work, 3)
    assert sorted(done) == list(range(20))
    assert most == 3


async def test_an_error_ends_the_others() -> None:
    ended = []

    async def work(item: int) -> None:
        if item == 2:
            raise ValueError("two")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(item)

    with pytest.raises(ValueError, match="two"):
        await process_in_parallel(iterate(range(10)), work, 3)
    assert sorted(ended) == [0, 1]
