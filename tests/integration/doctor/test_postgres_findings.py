"""What `analytics doctor` finds in Postgres, each made true on a real server."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from runtime.clock import utc_now
from runtime.diagnosis import Finding
from runtime.settings import Settings
from schemas.entry import encode, pack
from storage.batches.batch import ReceivedEvent
from storage.batches.verify_parts import verify_due
from storage.batches.writer import BatchWriter
from storage.database.locks import LEADER_LOCK
from storage.database.pool import Pool, open_pool
from storage.database.usage import ServerUsage
from storage.diagnosis import diagnose, server
from storage.diagnosis.maintenance import check_leader
from storage.diagnosis.server import check_usage
from storage.privacy.erasure import request_erasure
from storage.retention.partition_weeks import partition_week
from storage.retention.partitions import partition_names
from storage.retention.removal import drop_expired
from tests.support.events import event

GUIDE = Path(__file__).parents[3] / "docs/operations.md"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def findings(url: str, *, later: timedelta = timedelta(0), service_connections: int = 0) -> dict[str, Finding]:
    found = await diagnose(
        url, 1, utc_now() + later, timedelta(days=90), services=1, service_connections=service_connections
    )
    return {one.name: one for one in found}


async def statuses(settings: Settings, *, later: timedelta = timedelta(0)) -> dict[str, str]:
    return {name: one.status for name, one in (await findings(settings.database_dsn, later=later)).items()}


async def test_a_fresh_database_lacks_a_leader_only(settings: Settings) -> None:
    found = await statuses(settings)
    # the server of the tests forgets by a power cut, to be fast
    assert {name for name, status in found.items() if status != "ok"} == {"maintenance.leader", "postgres.durability"}


async def test_a_clock_that_differs_is_found(settings: Settings) -> None:
    assert (await statuses(settings, later=timedelta(minutes=1)))["postgres.clock"] == "warn"


async def test_partitions_that_are_missing_ahead_are_found(settings: Settings, database: asyncpg.Connection) -> None:
    for name in await partition_names(database):
        week = partition_week(name)
        if week is not None and week > utc_now() + 6 * DAY:
            await database.execute(f"DROP TABLE {name}")
    assert (await statuses(settings))["postgres.partitions"] == "fail"


async def test_a_process_that_leads_is_found_by_its_lock(settings: Settings, database: asyncpg.Connection) -> None:
    assert (await statuses(settings))["maintenance.leader"] == "fail"
    await database.execute("SELECT pg_advisory_lock($1)", LEADER_LOCK)
    assert (await statuses(settings))["maintenance.leader"] == "ok"


@pytest.mark.parametrize("services", [0, None])
def test_without_running_processes_nobody_has_to_lead(services: int | None) -> None:
    assert check_leader(led=False, services=services).status == "warn"


async def test_a_transaction_that_is_open_for_long_is_found(
    settings: Settings, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LONG_TRANSACTION", timedelta(0))
    async with database.transaction():
        await database.execute("SELECT 1")
        found = (await findings(settings.database_dsn))["postgres.transactions"]
    assert found.status == "warn"
    assert found.detail.startswith("the oldest is ")


def test_a_login_that_cannot_see_transactions_says_so() -> None:
    [found] = [one for one in check_usage(ServerUsage(1, 97, None, 0.1), 1, 1) if one.name == "postgres.transactions"]
    assert (found.status, found.detail) == (
        "ok",
        "this login may not see the transactions of others: it lacks pg_read_all_stats",
    )


async def test_processes_that_may_open_more_connections_than_there_are_are_found(settings: Settings) -> None:
    assert (await findings(settings.database_dsn, service_connections=9))["fleet.connections"].status == "ok"
    found = (await findings(settings.database_dsn, service_connections=10_000))["fleet.connections"]
    assert found.status == "warn"
    assert found.detail.startswith("the running processes may open 10000 of ")


def test_a_server_near_its_limits_is_found() -> None:
    # a thousand million transactions take too long to make
    fine = ServerUsage(10, 97, timedelta(minutes=9), 0.4)
    assert {one.status for one in check_usage(fine, 10, 50)} == {"ok"}
    used_up = ServerUsage(90, 97, timedelta(minutes=11), 0.51)
    found = {one.name: one.status for one in check_usage(used_up, 10, 98)}
    assert found == {
        "postgres.connections": "warn",
        "fleet.connections": "warn",
        "postgres.transactions": "warn",
        "postgres.wraparound": "warn",
    }


async def test_an_older_schema_is_found_and_its_contents_are_not_read(
    settings: Settings, database: asyncpg.Connection
) -> None:
    await database.execute("UPDATE alembic_version SET version_num = '0007'")
    found = await statuses(settings)
    assert found["postgres.schema"] == "fail"
    assert "dead_letters.waiting" not in found


async def test_dead_letters_that_wait_are_counted_by_reason(settings: Settings, database: asyncpg.Connection) -> None:
    await database.executemany(
        "INSERT INTO dead_letters (stream_partition, entry_id, reason, detail, payload, retried_at)"
        " VALUES (0, $1, $2, '', '{}', $3)",
        [("1-1", "invalid_field", None), ("1-2", "invalid_field", None), ("1-3", "x", None), ("1-4", "x", utc_now())],
    )
    found = (await findings(settings.database_dsn))["dead_letters.waiting"]
    assert (found.status, found.detail) == ("warn", "2 invalid_field, 1 x")


async def test_aggregates_that_differed_when_maintenance_compared_them_are_found(
    settings: Settings, database: asyncpg.Connection
) -> None:
    async def compare() -> Finding:
        async with await open_pool(settings.database_dsn, size=1, application_name="tests") as pool:
            await verify_due(pool, utc_now(), utc_now(), 2 * DAY, 30 * DAY)
        return (await findings(settings.database_dsn))["verify.drift"]

    assert (await findings(settings.database_dsn))["verify.drift"].detail.endswith("not all were compared yet")
    assert (await compare()).status == "ok"
    await database.execute(
        "INSERT INTO hourly_event_counts (hour, event_type, slot, events, xp)"
        " VALUES (date_trunc('hour', now(), 'UTC'), 'session_start', 0, 1, 0)"
    )
    found = await compare()
    assert found.status == "fail"
    assert found.detail.startswith("1 rows of hourly_event_counts differed; all were compared last: 20")


async def test_an_erasure_that_is_open_for_more_than_a_day_is_found(
    settings: Settings, database: asyncpg.Connection
) -> None:
    await request_erasure(database, [b"w" * 32], "tests")
    assert (await statuses(settings))["erasure.open"] == "ok"
    await database.execute("UPDATE erasure_jobs SET requested_at = now() - interval '25 hours'")
    found = (await findings(settings.database_dsn))["erasure.open"]
    assert found.status == "fail"
    assert found.detail.startswith("1 not finished, the oldest since ")


async def test_an_issued_key_that_expires_soon_is_named(settings: Settings, database: asyncpg.Connection) -> None:
    now = utc_now()
    await database.executemany(
        "INSERT INTO api_keys (key_id, digest, source, scopes, expires_at, revoked_at)"
        " VALUES ($1, decode(md5($1) || md5($1), 'hex'), 'lessons', '{events:write}', $2, $3)",
        [
            ("expired", now - HOUR, None),
            ("revoked", now + HOUR, now),
            ("soon", now + 13 * DAY, None),
            ("later", now + 15 * DAY, None),
            ("never", None, None),
        ],
    )
    found = (await findings(settings.database_dsn))["keys.expiry"]
    assert found.status == "warn"
    assert found.detail == f"soon expire soon of lessons at {now + 13 * DAY:%Y-%m-%d %H:%M} UTC"


async def test_a_system_that_is_new_has_removed_nothing(settings: Settings, pool: Pool) -> None:
    # the weeks of a new database that are past the retention are empty
    await drop_expired(pool, utc_now(), 30 * DAY)
    found = (await findings(settings.database_dsn))["retention.horizon"]
    assert found.detail.startswith("no raw events were removed yet; events from before 20")
    old = event("xp_earned", occurred_at=utc_now() - 40 * DAY, number=1)
    await BatchWriter(pool, 0).write(0, [ReceivedEvent("1-0", pack(encode(old)))], [])
    await drop_expired(pool, utc_now(), DAY)
    found = (await findings(settings.database_dsn))["retention.horizon"]
    assert found.detail.startswith("raw events before 20")


TIMES = {
    "the retention horizon": "UPDATE retention_horizon SET ordered_before = now() + $1::interval",
    "a verification": "INSERT INTO verify_results VALUES ('hourly_event_counts', 0, now() + $1::interval)",
    "an open erasure": "INSERT INTO erasure_jobs (user_hashes, requested_by, requested_at)"
    " VALUES ('{}', 'tests', now() + $1::interval)",
    "bytes of erased learners": "INSERT INTO erasure_residue (place, since) VALUES ('redis', now() + $1::interval)"
    " ON CONFLICT (place) DO UPDATE SET since = EXCLUDED.since",
    "a loss of Redis": "INSERT INTO stream_losses (stream_partition, noticed_at, after_entry_id, before_entry_id,"
    " missing, lost) VALUES (0, now() + $1::interval, '1-0', '2-0', 0, 0)",
}


@pytest.mark.parametrize("what", TIMES)
async def test_a_stored_time_in_the_future_is_found_and_the_guide_corrects_it(
    settings: Settings, database: asyncpg.Connection, what: str
) -> None:
    assert (await findings(settings.database_dsn))["postgres.times"].status == "ok"
    await database.execute(TIMES[what], HOUR)
    found = (await findings(settings.database_dsn))["postgres.times"]
    assert found.status == "fail"
    assert found.detail.startswith(f"in the future: {what} is of 20")
    section = GUIDE.read_text().split("\n### Times in the future\n")[1].split("\n### ")[0]
    await database.execute(section.split("```sql\n")[1].split("```")[0])
    assert (await findings(settings.database_dsn))["postgres.times"].status == "ok"
