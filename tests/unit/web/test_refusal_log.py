"""Refused requests are logged once a minute with their count, and all are counted."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random

import pytest

from tests.support.serving import served
from web.server.refusal_log import MINUTE, MinuteCounts, RefusalLog


def test_the_first_is_reported_at_once_and_the_others_as_a_sum() -> None:
    counts = MinuteCounts()
    assert counts.add("a", 100.0) == 1
    assert [counts.add("a", 100.0 + second) for second in (0.0, 1.0, MINUTE - 1)] == [0, 0, 0]
    assert counts.due(100.0 + MINUTE - 1) == {}
    assert counts.wait(100.0 + MINUTE - 1) == 1.0
    assert counts.due(100.0 + MINUTE) == {"a": 3}
    # its next minute has begun
    assert counts.add("a", 100.0 + MINUTE + 1) == 0
    assert counts.add("a", 100.0 + 2 * MINUTE) == 2
    assert counts.wait(100.0 + 2 * MINUTE) is None


def test_each_kind_has_a_minute_of_its_own() -> None:
    counts = MinuteCounts()
    assert (counts.add("a", 0.0), counts.add("b", 30.0), counts.add("a", 31.0), counts.add("b", 32.0)) == (1, 1, 0, 0)
    assert counts.due(MINUTE) == {"a": 1}
    assert counts.wait(MINUTE) == 30.0
    assert counts.rest() == {"b": 1}
    assert counts.rest() == {}


def test_every_one_is_reported_once_and_no_kind_more_than_once_a_minute() -> None:
    chance = random.Random(18)
    counts, now, added, lines = MinuteCounts(), 0.0, 0, list[tuple[float, int]]()
    for _ in range(5_000):
        now += chance.choice([0.0, 0.1, 1.0, 50.0])
        if chance.random() < 0.7:
            added += 1
            found = counts.add("a", now)
        else:
            found = counts.due(now).get("a", 0)
        if found:
            lines.append((now, found))
    assert sum(count for _, count in lines) + counts.rest().get("a", 0) == added
    assert all(later - earlier >= MINUTE for (earlier, _), (later, _) in itertools.pairwise(lines))


async def test_what_waits_is_written_when_its_minute_is_over(caplog: pytest.LogCaptureFixture) -> None:
    now, counted = 0.0, list[str]()
    log = RefusalLog(counted.append, lambda: now)
    for _ in range(3):
        log.refused("malformed_request", "1" * 16)
    assert messages(caplog) == [f"refused requests: code=malformed_request count=1 request_id={'1' * 16}"]
    now = MINUTE
    log.report_due()
    assert messages(caplog)[1:] == ["refused requests: code=malformed_request count=2"]
    log.close()
    assert len(messages(caplog)) == 2
    assert counted == ["malformed_request"] * 3


async def test_what_waits_is_written_when_the_server_ends(caplog: pytest.LogCaptureFixture) -> None:
    async def nothing(_scope: object, _receive: object, _send: object) -> None:
        pass

    async with served(nothing) as address:
        host, _, port = address.partition(":")
        for request in [b"nonsense\r\n\r\n"] * 20 + [b"GET / HTTP/1.1\r\n\r\n"]:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request)
            assert b" 400 " in await reader.read()
            writer.close()
        assert [line.split(" request_id")[0] for line in messages(caplog)] == [
            "refused requests: code=malformed_request count=1",
            "refused requests: code=invalid_host count=1",
        ]
    assert messages(caplog)[2:] == ["refused requests: code=malformed_request count=19"]


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
