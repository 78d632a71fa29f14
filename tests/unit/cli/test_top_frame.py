"""The frame of `analytics top`, as a text, and its rates: from the facts of two moments."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cli.output import show_sections
from cli.top.document import document
from cli.top.facts import GroupFacts, PostgresFacts, RedisFacts, Sample, WorkerFacts
from cli.top.frame import frame
from cli.top.rates import Rate, rates, total
from runtime.errors import StorageUnavailable, StreamUnavailable
from storage.database.usage import ServerUsage
from stream.entries.books import StreamBooks
from stream.entries.extent import StreamExtent
from stream.entries.lag import GroupLag
from stream.registry.chores import ChoreRecord
from stream.server.client_names import Fleet, Process
from stream.server.health import Memory, Safety

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def group(partition: int, name: str, appended: int, settled: int | None, *, at: datetime = NOON) -> GroupFacts:
    lag = GroupLag(
        appended=appended,
        length=appended,
        undelivered=None if settled is None else appended - settled - 2,
        pending=2,
        oldest_unsettled_at=at - 90 * SECOND,
        redis_now=at,
        oldest_pending_at=at - 3 * SECOND,
        consumers=1,
    )
    return GroupFacts(partition, name, lag, StreamBooks(appended, settled))


def redis_facts(groups: list[GroupFacts], now: datetime = NOON) -> RedisFacts:
    every = ChoreRecord(name="trim_streams", every=MINUTE, since=now - 60 * MINUTE, succeeded_at=now - 5 * SECOND)
    late = ChoreRecord(
        name="drop_expired",
        every=MINUTE,
        since=now - 60 * MINUTE,
        succeeded_at=now - 30 * MINUTE,
        failed_at=now - MINUTE,
        error="storage unavailable (lock_not_available): [bold]55P03",
    )
    return RedisFacts(
        memory=Memory(450 * 1024**2, 512 * 1024**2),
        safety=Safety(is_safe=True, replicas=1),
        groups=groups,
        extents={partition: StreamExtent(12 * 1024**2, timedelta(hours=50)) for partition in range(2)},
        workers=[
            WorkerFacts("host-1-aa", "store", 2, 4, SECOND),
            WorkerFacts("host-2-bb\x1b[31m", "live", 1, 0, MINUTE),
        ],
        fleet=Fleet(
            (
                Process("ingest", "1.2.0", 2, 0, "host-7", 2),
                Process("worker", "1.2.0", 2, 3, "host-1", 4),
                Process("worker", "1.1.0", 2, 3, "host-2", 4),
                Process("command", "1.2.0", 2, 0, "host-9", 1),
            ),
            0,
            14,
        ),
        chores=[every, late],
    )


POSTGRES = PostgresFacts(
    usage=ServerUsage(22, 97, 3 * SECOND, 0.1),
    applications={"analytics-maintenance": 8, "analytics-worker": 6, "studyin-dashboard": 8},
    is_led=True,
    dead_letters={"invalid_field": 1_200, "poison": 3},
    last_parked_at=NOON - 4 * MINUTE,
    erasures_open_since=[NOON - 90 * MINUTE],
)

BEFORE = Sample(
    NOON - 2 * SECOND,
    redis_facts([group(0, "store", 1_000, 900, at=NOON - 2 * SECOND), group(1, "store", 50, 40, at=NOON - 2 * SECOND)]),
    POSTGRES,
)
NOW = Sample(
    NOON,
    redis_facts([group(0, "store", 4_000, 2_900), group(1, "store", 51, None), group(0, "live", 4_000, 3_990)]),
    POSTGRES,
)


def text(previous: Sample | None, current: Sample, width: int, capsys: pytest.CaptureFixture[str]) -> str:
    show_sections(frame(previous, current), width=width)
    return "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())


AT_80 = """
analytics top  2026-11-24 12:00:00 UTC

Redis  memory 450 MiB of 512 MiB  replicas 1  connections 14

stream  group   in/s  out/s  waiting  in hand  behind  oldest  window    size
0       store  1,500  1,000    1,098        2    90 s   3.0 s     2 d  12 MiB
0       live       -      -        8        2    90 s   3.0 s     2 d  12 MiB
1       store    0.5      -  unknown        2    90 s   3.0 s     2 d  12 MiB
all     store  1,500      -  unknown        4    90 s

worker             group  streams  in hand  idle
host-1-aa          store        2        4   1 s
host-2-bb\\x1b[31m  live         1        0  60 s

Processes  1 ingest 1.2.0, 1 worker 1.1.0, 1 worker 1.2.0

Chores  2, last success 5 s ago, 1 overdue, 1 failing
chore         every     success  last error
drop_expired   60 s  30 min ago  storage unavailable (lock_not_available):
                                 [bold]55P03

Postgres  22 of 97 connections: analytics-maintenance 8, analytics-worker 6, st…
Maintenance  a process leads   oldest transaction 3 s
Dead letters  1,200 invalid_field, 3 poison, the last 4 min ago
Erasures  1 open for up to 90 min
"""

AT_120 = """
analytics top  2026-11-24 12:00:00 UTC

Redis  memory 450 MiB of 512 MiB  replicas 1  connections 14

stream  group   in/s  out/s  waiting  in hand  behind  oldest  window    size
0       store  1,500  1,000    1,098        2    90 s   3.0 s     2 d  12 MiB
0       live       -      -        8        2    90 s   3.0 s     2 d  12 MiB
1       store    0.5      -  unknown        2    90 s   3.0 s     2 d  12 MiB
all     store  1,500      -  unknown        4    90 s

worker             group  streams  in hand  idle
host-1-aa          store        2        4   1 s
host-2-bb\\x1b[31m  live         1        0  60 s

Processes  1 ingest 1.2.0, 1 worker 1.1.0, 1 worker 1.2.0

Chores  2, last success 5 s ago, 1 overdue, 1 failing
chore         every     success  last error
drop_expired   60 s  30 min ago  storage unavailable (lock_not_available): [bold]55P03

Postgres  22 of 97 connections: analytics-maintenance 8, analytics-worker 6, studyin-dashboard 8
Maintenance  a process leads   oldest transaction 3 s
Dead letters  1,200 invalid_field, 3 poison, the last 4 min ago
Erasures  1 open for up to 90 min
"""


@pytest.mark.parametrize(("width", "expected"), [(80, AT_80), (120, AT_120)])
def test_a_frame_fits_the_terminal(width: int, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = text(BEFORE, NOW, width, capsys)
    assert shown == expected.strip("\n")
    assert max(map(len, shown.splitlines())) <= width


def test_rates_are_those_of_the_clock_of_redis() -> None:
    found = rates(BEFORE, NOW)
    assert found[0, "store"] == Rate(1_500, 1_000)
    assert found[1, "store"] == Rate(0.5, None)
    assert found[0, "live"] == Rate(None, None)
    assert total([Rate(1, 2), Rate(3, 4)]) == Rate(4, 6)
    assert total(found.values()) == Rate(None, None)


def test_a_stream_that_was_emptied_has_no_rate_until_the_next_sample() -> None:
    emptied = Sample(NOON, redis_facts([group(0, "store", 10, 5)]), POSTGRES)
    assert rates(BEFORE, emptied) == {(0, "store"): Rate(None, None)}
    assert rates(NOW, NOW)[0, "store"] == Rate(None, None)


def test_a_server_that_is_away_is_told_and_the_other_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    no_redis = Sample(NOON, StreamUnavailable("connection", "ConnectionError"), POSTGRES)
    shown = text(BEFORE, no_redis, 120, capsys)
    assert "Redis  stream unavailable (connection): ConnectionError" in shown
    assert "Postgres  22 of 97 connections" in shown
    no_postgres = Sample(NOON, NOW.redis, StorageUnavailable("timeout"))
    shown = text(no_redis, no_postgres, 120, capsys)
    assert "Postgres  storage unavailable (timeout)" in shown
    assert ["0", "store", "-", "-", "1,098"] in [line.split()[:5] for line in shown.splitlines()]
    assert document(None, no_postgres)["postgres"] == {"error": {"reason": "timeout", "detail": ""}}
    assert document(None, no_redis)["redis"]["error"]["reason"] == "connection"


def test_what_a_login_may_not_see_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(NOW.redis, RedisFacts)
    blind = replace(NOW.redis, fleet=None, chores=None, workers=[])
    usage = replace(POSTGRES, is_led=False, dead_letters={}, last_parked_at=None, erasures_open_since=[])
    sample = Sample(NOON, blind, replace(usage, usage=replace(POSTGRES.usage, oldest_transaction=None)))
    shown = text(None, sample, 120, capsys)
    assert "Processes  this login lacks the right to CLIENT LIST (+client|list)" in shown
    assert "Chores  no process reports them" in shown
    assert "Workers  none has read a stream" in shown
    assert "Maintenance  nobody leads\n" in shown
    assert "Dead letters  none" in shown
    assert document(None, sample)["redis"]["processes"] is None


def test_a_long_table_shows_what_is_furthest_behind_and_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    groups = [group(partition, "store", 100, 90) for partition in range(64)]
    facts = replace(redis_facts(groups), extents=dict.fromkeys(range(64), StreamExtent(0, None)))
    late = replace(groups[40].lag, oldest_unsettled_at=NOON - 60 * MINUTE)
    groups[40] = replace(groups[40], lag=late)
    lines = text(None, Sample(NOON, facts, POSTGRES), 120, capsys).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("stream"))
    assert lines[start + 1].startswith("40 ")
    assert lines[start + 13].startswith("all     store")
    assert "512" in lines[start + 13]


def test_the_document_has_every_chore_and_numbers_only() -> None:
    shown = document(BEFORE, NOW)
    assert shown["redis"]["groups"][0]["appended_per_second"] == 1_500
    assert shown["redis"]["groups"][1]["undelivered"] is None
    assert [one["overdue"] for one in shown["redis"]["chores"]] == [False, True]
    assert shown["postgres"]["dead_letters"] == {"invalid_field": 1_200, "poison": 3}
