"""`analytics dlq` as an operator uses it: list dead letters, fix the cause, redrive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from processors.store import worker
from runtime.settings import Settings
from stream.entries.lag import measure
from stream.keys import stream_key
from tests.support.entries import append_entry, append_events
from tests.support.events import event
from tests.support.poison import CANARY, fields_of
from tests.support.terminal import Ended, Operator
from tests.support.waiting import eventually

WRONG = "ALTER TABLE analytics_events ADD CONSTRAINT wrong CHECK (properties ->> 'xp_amount' <> '7')"
MENDED = "ALTER TABLE analytics_events DROP CONSTRAINT wrong"


class Postmaster(Operator):
    """An operator who handles dead letters."""

    async def dlq(self, *arguments: str, **environment: str) -> Ended:
        return await self.run("dlq", *arguments, **environment)

    async def waiting(self, *arguments: str) -> list[str]:
        """Return the ids of the letters that were not redriven."""
        listed = (await self.dlq("list", "--json", *arguments)).document()
        return [letter["id"] for letter in listed["letters"]]


@pytest.fixture
def operator(settings: Settings, tmp_path: Path) -> Postmaster:
    return Postmaster(settings, tmp_path)


@contextlib.asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run(settings, stop))
        try:
            yield
        finally:
            stop.set()


async def settle(settings: Settings, redis: Redis) -> None:
    """Run a worker until the stream is settled."""

    async def nothing_waits() -> bool:
        lag = await measure(redis, 0)
        return lag.appended > 0 and lag.undelivered == 0 and lag.pending == 0

    async with working(settings):
        await eventually(nothing_waits)


async def stored_xp(database: asyncpg.Connection) -> int:
    total: int = await database.fetchval("SELECT coalesce(sum(total_xp), 0)::int FROM gamification_stats")
    return total


async def park_two(settings: Settings, redis: Redis, database: asyncpg.Connection) -> None:
    """Store an event of 1 XP; park two of 7 XP that the database refuses, and an entry that is not an event."""
    await database.execute(WRONG)
    amounts = [1, 7, 7]
    await append_events(
        redis, [event("xp_earned", {"xp_amount": amount}, number=number) for number, amount in enumerate(amounts)]
    )
    await append_entry(redis, {CANARY.encode(): CANARY.encode()})
    await settle(settings, redis)
    assert await stored_xp(database) == 1


@pytest.mark.timeout(120)
async def test_parked_events_are_seen_mended_retried_and_count_once(
    settings: Settings, redis: Redis, database: asyncpg.Connection, operator: Postmaster
) -> None:
    await park_two(settings, redis, database)

    listed = await operator.dlq("list", "--reason", "rejected_by_database", "--since", "1h")
    assert listed.out.count("23514 CheckViolation") == 2
    assert "2 of 2 dead letters" in listed.err
    first, second, strange = await operator.waiting()
    assert await operator.waiting("--limit", "1") == [first]
    assert await operator.waiting("--since", "2999-01-01") == []

    shown = (await operator.dlq("show", first)).document()
    assert (shown["id"], shown["reason"], shown["whole"]) == (first, "rejected_by_database", True)
    assert shown["payload"]["properties"] == {"xp_amount": 7}
    received = shown["payload"]["received_at"]
    assert CANARY not in (await operator.dlq("show", strange)).out

    await database.execute(MENDED)
    entries = await redis.xlen(stream_key(0))
    rehearsed = await operator.dlq("retry", "--all", "--dry-run", "--json")
    assert rehearsed.code == 1
    facts = rehearsed.document()
    assert (facts["selected"], facts["possible"], facts["retried"]) == (3, 2, 0)
    assert [(one["id"], one["reason"]) for one in facts["hopeless"]] == [(strange, "missing_field")]
    assert await redis.xlen(stream_key(0)) == entries

    assert (await operator.dlq("retry", first)).code == 0
    retried = await operator.dlq("retry", "--reason", "rejected_by_database", "--json")
    assert retried.document()["retried"] == 1
    assert "dead letters" in retried.err
    assert await operator.waiting() == [strange]
    assert await operator.waiting("--with-retried") == [first, second, strange]

    # an event that was appended again has the same id: redriven once more, it is a duplicate
    await database.execute("UPDATE dead_letters SET retried_at = NULL WHERE entry_id = $1", first.partition(":")[2])
    assert (await operator.dlq("retry", first)).code == 0
    await settle(settings, redis)
    assert await stored_xp(database) == 15
    row = await database.fetchrow(
        "SELECT received_at, properties FROM analytics_events WHERE event_id = $1",
        event("xp_earned", number=1).event_id,
    )
    assert row is not None
    assert row["received_at"].isoformat() == received
    assert json.loads(row["properties"]) == {"xp_amount": 7}
    verified = await operator.run("verify", "--json")
    assert verified.code == 0
    [books] = verified.document()["books"]
    fates = [books[fate] for fate in ("appended", "stored", "duplicate", "dead_lettered", "in_flight")]
    assert fates == [7, 3, 1, 3, 0]


@pytest.mark.timeout(120)
async def test_a_crash_between_append_and_mark_counts_once(
    settings: Settings, redis: Redis, database: asyncpg.Connection, operator: Postmaster
) -> None:
    await park_two(settings, redis, database)
    await database.execute(MENDED)

    died = await operator.dlq("retry", "--reason", "rejected_by_database", ANALYTICS_FAILPOINT="after_redrive:kill")
    assert died.code == -signal.SIGKILL
    assert await redis.xlen(stream_key(0)) == 6
    assert len(await operator.waiting()) == 3
    assert (await operator.dlq("retry", "--reason", "rejected_by_database")).code == 0
    await settle(settings, redis)

    assert await stored_xp(database) == 15
    verified = await operator.run("verify", "--json")
    assert verified.code == 0
    [books] = verified.document()["books"]
    assert [books["stored"], books["duplicate"], books["dead_lettered"]] == [3, 2, 3]


@pytest.mark.timeout(120)
async def test_a_retry_reads_missing_fields_from_the_stream_while_the_entry_exists(
    settings: Settings, redis: Redis, database: asyncpg.Connection, operator: Postmaster
) -> None:
    await database.execute(WRONG)
    newer = {"xp_amount": 7, "of_a_newer_version": CANARY}
    ids = [await append_entry(redis, fields_of(event("xp_earned", newer, number=number))) for number in (1, 2)]
    await settle(settings, redis)
    await database.execute(MENDED)
    kept, gone = (f"0:{entry_id}" for entry_id in ids)
    assert (await operator.dlq("show", kept)).document()["whole"] is False
    await redis.xdel(stream_key(0), ids[1])

    retried = await operator.dlq("retry", "--all")

    assert retried.code == 1
    assert retried.out == f"{gone}  not_kept  not kept: properties, and the entry has left the stream\n"
    await settle(settings, redis)
    assert await stored_xp(database) == 7
    assert CANARY in await database.fetchval("SELECT properties ->> 'of_a_newer_version' FROM analytics_events")
    assert await operator.waiting() == [gone]


@pytest.mark.timeout(120)
async def test_dropping_letters_requires_confirmation(
    settings: Settings, redis: Redis, database: asyncpg.Connection, operator: Postmaster
) -> None:
    await park_two(settings, redis, database)
    first, _, _ = await operator.waiting()
    count = "SELECT count(*) FROM dead_letters"

    assert (await operator.dlq("drop")).code == 2
    unsure = await operator.dlq("drop", "--all")
    assert (unsure.code, "--yes" in unsure.err) == (2, True)
    rehearsed = await operator.dlq("drop", "--all", "--yes", "--dry-run", "--json")
    assert rehearsed.document() == {"selected": 3, "dropped": 0, "dry_run": True}
    assert await database.fetchval(count) == 3

    assert (await operator.dlq("drop", first, "--yes")).code == 0
    assert (await operator.dlq("drop", first, "--yes")).code == 1
    assert await database.fetchval(count) == 2
    assert (await operator.dlq("drop", "--reason", "missing_field", "--yes")).code == 0
    assert await database.fetchval(count) == 1
    assert (await operator.run("verify")).code == 0


async def test_usage_errors_missing_letters_and_outages_have_different_exit_codes(operator: Postmaster) -> None:
    assert (await operator.dlq("show", "0:1-0")).code == 1
    assert (await operator.dlq("retry", "0:1-0")).code == 1
    wrong = await operator.dlq("show", "one")
    assert (wrong.code, "'one' is not the id of a dead letter" in wrong.err) == (2, True)
    assert (await operator.dlq("retry")).code == 2
    assert (await operator.dlq("list", "--since", "yesterday")).code == 2
    assert (await operator.dlq("list", DATABASE_URL="postgresql://127.0.0.1:1/none")).code == 3


@pytest.mark.timeout(120)
async def test_the_worker_exits_with_a_clear_message_when_it_would_park_too_much(
    redis: Redis, database: asyncpg.Connection, operator: Postmaster
) -> None:
    for number in range(60):
        await append_entry(redis, fields_of(event("session_start", number=number), event_type=b"quiz_done"))
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "worker"),
        env={"REDIS_URL": operator.settings.redis_dsn, "DATABASE_URL": operator.settings.database_dsn},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await child.communicate()
    *log, last = said.decode().splitlines()
    assert child.returncode == 1
    assert last.startswith("analytics: stopped rather than dead-letter 60 entries in a row, the limit is 50")
    assert "ANALYTICS_DEAD_LETTER_MAX_CONSECUTIVE" in last
    assert "Traceback" not in said.decode()
    assert any(json.loads(line)["event"] == "parking_stopped" for line in log)
    assert await database.fetchval("SELECT count(*) FROM dead_letters") == 0
    assert (await measure(redis, 0)).pending == 60
