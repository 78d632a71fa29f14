"""A filled database is equal to one that workers have written."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from bench.backlog import PSEUDONYM_KEYS
from bench.fill import fill, known_learners, make_base
from bench.servers import Servers
from cli.local.dev_access import ensure_access
from processors.balance import read_balances
from runtime.clock import utc_now
from runtime.settings import Settings
from schemas.identifiers import is_reserved, milliseconds_of, unix_milliseconds
from storage.batches.verify import verify_aggregates
from stream.server.connection import Redis

EVENTS = 5_001


@pytest.fixture
def servers(tmp_path: Path, redis_url: str, database_url: str) -> Servers:
    return Servers(tmp_path, redis_url, database_url, ensure_access(tmp_path / "access.json", {}))


async def _indexes(database: asyncpg.Connection) -> list[str]:
    rows = await database.fetch(
        "SELECT tablename || ': ' || indexdef AS index FROM pg_indexes WHERE tablename LIKE 'analytics_events%'"
        " ORDER BY 1"
    )
    return [row["index"] for row in rows]


async def test_a_filled_database_has_no_drift_and_balanced_books(
    servers: Servers, database: asyncpg.Connection, redis: Redis
) -> None:
    before = await _indexes(database)
    base = make_base(2_000)

    await fill(servers, base, EVENTS)

    assert await database.fetchval("SELECT count(*) FROM analytics_events") == EVENTS
    assert await _indexes(database) == before
    drifts = await verify_aggregates(database, utc_now(), timedelta(days=30))
    assert all(drift.is_clean for drift in drifts)
    assert all(drift.rows for drift in drifts)
    [balance] = await read_balances(redis, database, [0])
    assert balance.is_balanced
    assert (balance.appended, balance.books.stored, balance.fates()["in_flight"]) == (EVENTS, EVENTS, 0)

    with pytest.raises(RuntimeError, match="empty"):
        await fill(servers, base, EVENTS)


async def test_events_keep_what_their_ids_promise_and_have_the_learners_that_are_told(
    servers: Servers, database: asyncpg.Connection
) -> None:
    base = make_base(2_000)

    await fill(servers, base, EVENTS)

    rows = await database.fetch("SELECT event_id, occurred_at, session_id, user_hash FROM analytics_events")
    of_time = [row for row in rows if not is_reserved(row["event_id"])]
    assert {row["event_id"].version for row in of_time} == {7}
    assert all(milliseconds_of(str(row["event_id"])) == unix_milliseconds(row["occurred_at"]) for row in of_time)
    reserved = {row["event_id"].version for row in rows if is_reserved(row["event_id"])}
    assert reserved == {8}
    # each copy of a session is a session of its own, of one learner
    learners = {row["session_id"]: row["user_hash"] for row in rows if row["session_id"]}
    assert all(learners[row["session_id"]] == row["user_hash"] for row in rows if row["session_id"])
    assert len(learners) > 2 * len({event.session_id for event in base.events if event.session_id})
    pseudonymizer = Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS}).pseudonymizer()
    told = {pseudonymizer.pseudonym(learner) for learner in known_learners(base, EVENTS)}
    assert told <= set(learners.values())
    assert len(told) > base.learners
