"""The verification by parts finds what the complete one finds, and records it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from processors.maintenance.verification import verify_nightly
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.entry import encode, pack
from storage.batches import verify_parts
from storage.batches.batch import ReceivedEvent
from storage.batches.rebuild import rebuild_aggregates
from storage.batches.verify import TableDrift, expiry_cutoff, verify_aggregates
from storage.batches.verify_parts import SHARES, Part, day_part, learners_part, verify_due, verify_part
from storage.batches.writer import BatchWriter
from storage.database.pool import Pool
from storage.retention.removal import drop_expired, prune_system_metrics
from tests.support.events import COMPLETE, NOW, event, learner
from tests.support.terminal import Operator

DAY = timedelta(days=1)
MONTH, QUARTER = timedelta(days=30), timedelta(days=90)
TYPES = list(COMPLETE)
DAYS = 80


def events() -> list[AcceptedEvent]:
    """Return events of all types, of learners in all time zones, in the last weeks."""
    found = []
    for number in range(420):
        moment = NOW - timedelta(minutes=270 * number)
        local = moment + timedelta(hours=number % 27 - 12)
        changes = {"occurred_at": moment, "activity_date": local.date(), "user_hash": learner(number % 40)}
        kind = TYPES[number % len(TYPES)]
        found.append(event(kind, COMPLETE[kind], number=number, **changes))
    return found


@pytest.fixture(autouse=True)
async def _stored(pool: Pool) -> None:
    """Store the events; the oldest of them are retired."""
    entries = [ReceivedEvent(f"{number}-0", pack(encode(one))) for number, one in enumerate(events(), 1)]
    await BatchWriter(pool, 0).write(0, entries, [])
    assert await drop_expired(pool, NOW, MONTH) > 50


def every_part() -> list[Part]:
    today = NOW.date()
    return [
        *(day_part(today + number * DAY) for number in range(-DAYS - 1, 2)),
        *(learners_part(share) for share in range(SHARES)),
    ]


async def compared(database: asyncpg.Connection) -> list[TableDrift]:
    cutoff = expiry_cutoff(NOW, QUARTER)
    return [drift for part in every_part() for drift in await verify_part(database, part, cutoff)]


async def results(pool: Pool) -> dict[str, int]:
    rows = await pool.fetch("SELECT table_name, drift_rows FROM verify_results WHERE drift_rows > 0")
    return {row["table_name"]: row["drift_rows"] for row in rows}


async def change_closed_day(database: asyncpg.Connection) -> None:
    changed = await database.execute(
        "UPDATE daily_activity_summary SET xp_earned = xp_earned + 1 WHERE activity_date = ("
        " SELECT max(activity_date) FROM daily_activity_summary WHERE activity_date <= $1)",
        NOW.date() - 5 * DAY,
    )
    assert changed != "UPDATE 0"


async def verified(pool: Pool, since: datetime) -> list[str]:
    found = await verify_due(pool, NOW, since, DAYS * DAY, QUARTER)
    return [drift.table for drift in found if not drift.is_clean]


async def test_the_parts_together_are_everything(database: asyncpg.Connection) -> None:
    rows: Counter[str] = Counter()
    for drift in await compared(database):
        assert drift.is_clean
        rows[drift.table] += drift.rows
    whole = await verify_aggregates(database, NOW, QUARTER)
    assert rows == {drift.table: drift.rows for drift in whole}
    assert all(drift.rows for drift in whole)


async def test_a_difference_is_found_in_its_part_and_is_gone_after_a_rebuild(
    pool: Pool, database: asyncpg.Connection
) -> None:
    assert await verified(pool, NOW - DAY) == []
    assert await results(pool) == {}
    # a closed day is not compared again in the next night, the last days are
    await change_closed_day(database)
    await database.execute("DELETE FROM hourly_event_counts WHERE hour = $1", NOW.replace(minute=0, second=0))
    later = datetime.now(UTC)
    assert await verified(pool, later) == ["hourly_event_counts"]
    assert await results(pool) == {"hourly_event_counts": 1}

    await rebuild_aggregates(database, NOW, QUARTER)
    assert await verified(pool, datetime.now(UTC)) == []
    assert await results(pool) == {}


async def test_all_shares_of_the_learners_are_compared_one_a_night(
    pool: Pool, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_parts, "SHARES", 4)
    await database.execute("UPDATE gamification_stats SET total_xp = total_xp + 1")
    for _ in range(4):
        await verified(pool, datetime.now(UTC))
    wrong = await database.fetchval("SELECT count(*) FROM gamification_stats")
    assert await results(pool) == {"gamification_stats": 2 * wrong}


async def test_a_closed_day_that_late_events_changed_is_compared_again(
    pool: Pool, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_parts, "SHARES", 4)
    await verified(pool, datetime.now(UTC))
    moment = NOW - 5 * DAY
    late = event("xp_earned", COMPLETE["xp_earned"], number=9_000, occurred_at=moment, user_hash=learner(9_000))
    assert (await BatchWriter(pool, 0).write(0, [ReceivedEvent("9000-0", pack(encode(late)))], [])).stored == 1
    # as if the event had not been counted
    await database.execute("DELETE FROM daily_activity_summary WHERE user_hash = $1", learner(9_000))
    found = [await verified(pool, datetime.now(UTC)) for _ in range(4)]
    assert ["daily_activity_summary"] in found
    assert await results(pool) == {"daily_activity_summary": 1}


async def test_the_nightly_verification_runs_at_its_hour_and_says_when_it_succeeded(
    pool: Pool, database: asyncpg.Connection, settings: Settings
) -> None:
    now = datetime.now(UTC)
    night = settings.model_copy(update={"verify_hour": now.hour})
    assert await verify_nightly(pool, now, settings.model_copy(update={"verify_hour": -1})) is None
    found = await verify_nightly(pool, now, night)
    assert found is not None
    assert all(drift.is_clean for drift in found)
    assert await database.fetchval("SELECT count(*) FROM verify_results WHERE last_success_at IS NULL") == 0
    assert await verify_nightly(pool, now, night) is None


async def test_the_command_compares_everything_unless_it_is_asked_for_what_is_new(
    pool: Pool, database: asyncpg.Connection, settings: Settings, tmp_path: Path
) -> None:
    operator = Operator(settings, tmp_path)
    assert await verified(pool, NOW - DAY) == []
    await change_closed_day(database)
    found = {}
    for choice in ("--new", "--all", "--json"):
        found[choice] = (await operator.run("verify", choice, "--json")).document()["drift"]
    assert found["--new"] == 0
    assert found["--json"] == found["--all"] > 0


async def test_rows_that_expire_during_a_run_are_no_drift(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    now = NOW.replace(minute=40)
    hour = now.replace(minute=0) - MONTH
    expiring = []
    for minute in range(5, 50, 5):
        moment = hour + timedelta(minutes=minute)
        one = event("api_request", COMPLETE["api_request"], number=9_000 + minute, occurred_at=moment)
        expiring.append(ReceivedEvent(f"9{minute}-0", pack(encode(one))))
    await BatchWriter(pool, 0).write(0, expiring, [])
    compare_part = verify_parts.verify_part

    async def compare_after_pruning(*arguments: Any) -> list[TableDrift]:
        await prune_system_metrics(pool, now + timedelta(minutes=25), MONTH)
        return await compare_part(*arguments)

    monkeypatch.setattr(verify_parts, "verify_part", compare_after_pruning)
    assert all(drift.is_clean for drift in await verify_due(pool, now, now, QUARTER, MONTH))
