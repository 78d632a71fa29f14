"""Each kind of process has the rights that it needs in Postgres and Redis, and no others."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import pytest
import yaml
from redis.asyncio import Redis

from dashboard.server import open_services
from ingest.routes import BATCH
from ingest.server import create_app, open_unmapped
from processors.maintenance.chores import chores
from runtime.clock import utc_now
from runtime.settings import Settings
from storage.database.leadership import TermPools, leadership, term_pools
from storage.database.pool import open_pool
from storage.database.roles import ROLES, Role, login_of, make_logins
from stream.keys import stream_key
from stream.registry.unmapped import read_unmapped
from stream.server.connection import connect
from stream.server.permissions import RULES
from tests.support.access import ADMIN_KEY, EVENTS_KEY, WRITE_KEY
from tests.support.events import event
from tests.support.live import all_published, publishing
from tests.support.reading import OVERVIEW, READER, SYSTEM, bearer, client_of
from tests.support.redis_users import as_user, redis_users
from tests.support.timeline import publish
from tests.support.waiting import eventually
from tests.support.working import working

ROOT: Final = Path(__file__).parents[2]

LEARNERS: Final = (
    "learning_sessions",
    "gamification_stats",
    "learner_achievements",
    "learner_materials",
    "daily_activity_summary",
    "ai_coach_metrics",
    "active_users_hourly",
    "hourly_event_counts",
    "system_errors",
    "system_metrics",
)
RETIRED: Final = tuple(f"retired.{table}" for table in LEARNERS)
# S select, I insert, U update, D delete, T truncate; maintenance owns two, and drops partitions of one
RIGHTS: Final[dict[Role, dict[str, str]]] = {
    "writer": {
        **dict.fromkeys(("analytics_events", "dead_letters", "settled_entries"), "SI"),
        **dict.fromkeys((*LEARNERS, "batch_books", "event_id_conflicts"), "SIU"),
        **dict.fromkeys(("erased_users", "retention_horizon", "retired_event_ids", "unscoped_event_ids"), "S"),
        "alembic_version": "S",
    },
    "reader": {
        **dict.fromkeys(("analytics_events", "dead_letters", "hourly_analytics_summary", "alembic_version"), "S"),
        **dict.fromkeys((*LEARNERS, *RETIRED), "S"),
        **dict.fromkeys(("erased_users", "erasure_jobs", "audit_log"), "SI"),
    },
    "maintenance": {
        **dict.fromkeys(("analytics_events", "hourly_analytics_summary"), "SIUDT"),
        **dict.fromkeys((*LEARNERS, "dead_letters", "audit_log"), "SD"),
        **dict.fromkeys(("event_id_conflicts", "unscoped_event_ids"), "SD"),
        **dict.fromkeys(RETIRED, "SIUD"),
        "settled_entries": "SID",
        **dict.fromkeys(("retention_horizon", "maintenance_epoch"), "SU"),
        "retired_event_ids": "SI",
        **dict.fromkeys(("stream_positions", "stream_losses"), "SIU"),
        "erasure_jobs": "SU",
        **dict.fromkeys(
            (
                "erasure_residue",
                "erasure_sweeps",
                "frozen_weeks",
                "hourly_summary",
                "verified_parts",
                "verify_results",
                "week_removals",
            ),
            "SIUD",
        ),
        **dict.fromkeys(("erased_users", "api_keys", "batch_books", "alembic_version"), "S"),
    },
}
PRIVILEGES: Final = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE", "T": "TRUNCATE"}

REFUSED: Final[dict[Role, tuple[str, ...]]] = {
    "writer": (
        "UPDATE analytics_events SET user_hash = NULL",
        "DELETE FROM analytics_events",
        "TRUNCATE analytics_events",
        "DELETE FROM dead_letters",
        "UPDATE retention_horizon SET ordered_before = 'epoch'",
        "DELETE FROM retired_event_ids",
        "DELETE FROM daily_activity_summary",
        "INSERT INTO erased_users (user_hash) VALUES ('x')",
        "DELETE FROM erased_users",
        "SELECT * FROM audit_log",
        "SELECT * FROM erasure_jobs",
        "SELECT * FROM retired.gamification_stats",
        "CREATE TABLE mine (x int)",
        "REFRESH MATERIALIZED VIEW hourly_analytics_summary",
        "SELECT analytics_rewrite('public.dead_letters')",
        "SELECT * FROM erasure_residue",
        "CHECKPOINT",
        "SELECT pg_switch_wal()",
    ),
    "reader": (
        "INSERT INTO analytics_events SELECT * FROM analytics_events",
        "UPDATE gamification_stats SET total_xp = 0",
        "DELETE FROM erased_users",
        "DELETE FROM audit_log",
        "UPDATE erasure_jobs SET state = 'done'",
        "CREATE TABLE mine (x int)",
        "CREATE TEMP TABLE mine (x int)",
        "SELECT analytics_rewrite('public.dead_letters')",
        "REFRESH MATERIALIZED VIEW hourly_analytics_summary",
    ),
    "maintenance": (
        "UPDATE gamification_stats SET total_xp = 0",
        "INSERT INTO daily_activity_summary SELECT * FROM daily_activity_summary",
        "INSERT INTO erased_users (user_hash) VALUES ('x')",
        "DELETE FROM erased_users",
        "UPDATE audit_log SET actor = 'x'",
        "INSERT INTO api_keys SELECT * FROM api_keys",
        "UPDATE api_keys SET revoked_at = NULL",
        "UPDATE batch_books SET stored = 0",
        "DELETE FROM retention_horizon",
        "DELETE FROM retired_event_ids",
    ),
}
REFUSED_TO_ALL: Final = (
    "DROP TABLE dead_letters",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_import('/etc/passwd')",
    "ALTER TABLE erased_users DISABLE TRIGGER ALL",
    "ALTER TABLE audit_log DISABLE TRIGGER ALL",
    "TRUNCATE erased_users",
    "UPDATE alembic_version SET version_num = 'x'",
    "CREATE ROLE another",
    "CREATE DATABASE another",
    "CREATE SCHEMA another",
    "SET ROLE pg_read_all_data",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "ALTER SYSTEM SET fsync = off",
    "SELECT rolpassword FROM pg_authid",
)


@pytest.fixture
async def logins(settings: Settings) -> dict[Role, str]:
    return await make_logins(settings.database_dsn, {role: secrets.token_urlsafe(32) for role in ROLES})


async def test_each_role_has_the_rights_of_the_table_and_no_others(
    database: asyncpg.Connection, logins: Mapping[Role, str]
) -> None:
    rows = await database.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname IN ('public', 'retired') AND relkind IN ('r', 'm', 'p') AND NOT relispartition ORDER BY 1"
    )
    tables = [row["name"] for row in rows]
    assert set().union(*RIGHTS.values()) <= set(tables)
    for role in ROLES:
        found = {}
        for table in tables:
            held = [
                letter
                for letter, privilege in PRIVILEGES.items()
                if await database.fetchval("SELECT has_table_privilege($1, $2, $3)", login_of(role), table, privilege)
            ]
            if held:
                found[table] = "".join(held)
        assert found == RIGHTS[role]


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_is_refused_what_it_does_not_need(logins: Mapping[Role, str], role: Role) -> None:
    connection = await asyncpg.connect(logins[role])
    allowed = []
    for statement in (*REFUSED[role], *REFUSED_TO_ALL):
        try:
            await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        allowed.append(statement)
    await connection.close()
    assert allowed == []


@pytest.fixture
async def users(redis: Redis) -> AsyncIterator[Mapping[str, str]]:
    async with redis_users(redis) as passwords:
        yield passwords


KEY: Final = stream_key(0)


async def test_the_whole_system_works_under_these_logins(
    settings: Settings, redis: Redis, users: Mapping[str, str], logins: Mapping[Role, str]
) -> None:
    ingest = as_user(settings, "ingest", users)
    client = connect(ingest)
    unmapped = open_unmapped(client)
    await send(create_app(ingest, client, asyncio.Event(), unmapped=unmapped))
    unmapped.count_event("Quiz Started")
    await unmapped.write()
    assert [one.name for one in await read_unmapped(redis, utc_now())] == ["Quiz Started"]
    await client.aclose()

    async with working(as_user(settings, "worker", users, logins["writer"])):

        async def is_stored() -> bool:
            groups = await redis.xinfo_groups(KEY)
            return any(group["entries-read"] == 3 and not group["pending"] for group in groups)

        await eventually(is_stored)

    async with publishing(as_user(settings, "live", users)):
        await all_published(redis, 3)

    reader = as_user(settings, "dashboard", users, logins["reader"])
    async with open_services(reader) as services, client_of(services) as dashboard:
        stop = asyncio.Event()
        keeping = asyncio.create_task(services.freshness.run(stop))
        overview = await dashboard.get(OVERVIEW, params={"user_id": "anna"}, headers=READER)
        assert overview.json()["total_xp"] == 3
        assert (await dashboard.get(SYSTEM, headers=READER)).status_code == 200
        events = await dashboard.get("/api/analytics/events", params={"user_id": "anna"}, headers=bearer(EVENTS_KEY))
        assert len(events.json()["events"]) == 2
        assert (await dashboard.get("/readyz")).status_code == 200
        live = asyncio.create_task(services.live.run(stop))
        async with services.live.joined():
            before = services.live.end
            await publish(redis, [event("xp_earned", {"xp_amount": 1})])
            await eventually(lambda: services.live.end > before)
        export = await dashboard.get("/api/analytics/privacy/users/anna/export", headers=bearer(ADMIN_KEY))
        assert len(export.json()["stream"]) == len(export.json()["live"]) == 2
        job = (await dashboard.delete("/api/analytics/privacy/users/anna", headers=bearer(ADMIN_KEY))).json()

        housekeeper = as_user(settings, "maintenance", users, logins["maintenance"])
        await do_every_chore(housekeeper)
        path = f"/api/analytics/privacy/jobs/{job['job_id']}"
        receipt = (await dashboard.get(path, headers=bearer(ADMIN_KEY))).json()
        assert receipt["state"] == "done"
        # each message in its history and in the timeline
        assert receipt["removed"]["live"] == 4
        stop.set()
        await asyncio.gather(keeping, live)


async def send(app: Any) -> None:
    transport = httpx.ASGITransport(app)
    events = [
        {"event_type": "xp_earned", "user_id": user, "properties": {"xp_amount": amount}}
        for user, amount in (("anna", 1), ("anna", 2), ("ben", 4))
    ]
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        reply = await client.post(BATCH, json=events, headers=bearer(WRITE_KEY))
    assert reply.status_code == 202, reply.text


async def do_every_chore(settings: Settings) -> None:
    """Run each chore once with work to do: a chore without the rights raises."""
    soon_over = settings.model_copy(update={"raw_retention_days": 1, "event_retention_days": 1})
    redis = connect(settings)
    pool = await open_pool(settings.database_dsn, size=2, application_name="test")
    await pool.execute("SELECT analytics_ensure_partitions($1, $1)", utc_now() - timedelta(weeks=40))
    for chore in chores(soon_over, redis, TermPools(pool, pool)):
        assert await chore.run()
    await pool.close()
    await redis.aclose()


async def test_a_leader_ends_the_sessions_of_the_one_before_under_its_login(
    database: asyncpg.Connection, logins: Mapping[Role, str]
) -> None:
    url = logins["maintenance"]
    async with leadership(url) as former:
        assert former is not None
        async with term_pools(url, former.epoch) as pools, pools.long.acquire() as held:
            await database.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'analytics-maintenance'"
            )
            async with leadership(url) as leader:
                assert leader is not None
                with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
                    await held.execute("SELECT 1")


def test_the_compose_file_gives_each_service_its_own_login() -> None:
    document = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    command: list[str] = document["services"]["redis"]["command"]
    given = {}
    for at, argument in enumerate(command):
        if argument == "--user":
            rest = command[at + 1 :]
            end = next((number for number, one in enumerate(rest) if one.startswith("--")), len(rest))
            name, on, password, *rules = rest[:end]
            assert on == "on"
            assert password.startswith(f">${{REDIS_{name.upper()}_PASSWORD:?")
            given[name] = tuple(rules)
    assert given == RULES
    for service, (user, login) in LOGINS_OF.items():
        environment = document["services"][service]["environment"]
        assert environment["REDIS_URL"].startswith(f"redis://{user}:${{REDIS_{user.upper()}_PASSWORD:?")
        if login is None:
            assert "DATABASE_URL" not in environment
        else:
            assert f"//{login_of(login)}:${{POSTGRES_{login.upper()}_PASSWORD:?" in environment["DATABASE_URL"]


LOGINS_OF: Final[dict[str, tuple[str, Role | None]]] = {
    "ingest": ("ingest", None),
    "worker": ("worker", "writer"),
    "live": ("live", None),
    "maintenance": ("maintenance", "maintenance"),
    "dashboard": ("dashboard", "reader"),
}


@pytest.fixture(autouse=True)
def _no_logins_left(postgres_server_url: str) -> Iterator[None]:
    yield

    async def drop() -> None:
        connection = await asyncpg.connect(postgres_server_url)
        for role in ROLES:
            await connection.execute(f"DROP ROLE IF EXISTS {login_of(role)}")
        await connection.close()

    asyncio.run(drop())
