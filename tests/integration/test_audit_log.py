"""Every access is in the audit log before the answer is sent, and stays there."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from dashboard import audit
from dashboard.audit import SPACING_SECONDS, AuditTrail
from dashboard.server import open_services
from runtime.clock import utc_now
from runtime.errors import StorageUnavailable
from runtime.settings import Settings
from storage.database.pool import open_pool
from storage.privacy.audit import AuditEntry, append_entries
from storage.retention.removal import prune_audit_log
from tests.support.access import ADMIN_KEY, EVENTS_KEY, WRITE_KEY
from tests.support.reading import ANNA, HEATMAP, OVERVIEW, READER, SYSTEM, bearer, client_of
from tests.support.terminal import Operator

EXPORT = "/api/analytics/privacy/users/anna/export"


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with open_services(settings) as services, client_of(services) as client:
        yield client


async def recorded(database: asyncpg.Connection) -> list[dict[str, Any]]:
    columns = "actor, action, encode(subject, 'hex') AS subject, span::text, outcome"
    rows = await database.fetch(f"SELECT {columns} FROM audit_log ORDER BY entry_id")
    return [dict(row) | {"span": json.loads(row["span"]) if row["span"] else None} for row in rows]


async def test_every_answer_is_on_record_with_who_what_and_how_much(
    client: httpx.AsyncClient, database: asyncpg.Connection, settings: Settings
) -> None:
    anna = settings.pseudonymizer().pseudonym("anna").hex()
    await client.get(OVERVIEW, params={"user_id": "anna", "days": 7, "tz": "Europe/Rome"}, headers=READER)
    await client.get(HEATMAP, headers=ANNA)
    await client.get(SYSTEM, params={"hours": 3, "limit": 5}, headers=READER)
    await client.get(EXPORT, headers=bearer(ADMIN_KEY))
    await client.delete("/api/analytics/privacy/users/anna", headers=bearer(ADMIN_KEY))
    assert await recorded(database) == [
        {
            "actor": "service:tests",
            "action": f"GET {OVERVIEW}",
            "subject": anna,
            "span": {"days": "7", "tz": "Europe/Rome"},
            "outcome": "200",
        },
        {"actor": f"learner:{anna}", "action": f"GET {HEATMAP}", "subject": anna, "span": None, "outcome": "200"},
        {
            "actor": "service:tests",
            "action": f"GET {SYSTEM}",
            "subject": None,
            "span": {"hours": "3", "limit": "5"},
            "outcome": "200",
        },
        {
            "actor": "service:tests",
            "action": "GET /api/analytics/privacy/users/{user_id}/export",
            "subject": anna,
            "span": None,
            "outcome": "200",
        },
        {
            "actor": "service:tests",
            "action": "DELETE /api/analytics/privacy/users/{user_id}",
            "subject": anna,
            "span": None,
            "outcome": "202",
        },
    ]
    assert "anna" not in str(await database.fetch("SELECT audit_log::text FROM audit_log"))


async def test_a_span_holds_parsed_values_of_bounded_length_and_no_text_of_the_caller(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await client.get(OVERVIEW, params={"user_id": "anna", "days": "0" * 300 + "7"}, headers=READER)
    await client.get(SYSTEM, params={"hours": "03", "limit": "5"}, headers=READER)
    types = "type=xp_earned&" * 200 + "since=2026-11-01T00:00:00Z"
    await client.get(f"/api/analytics/events?{types}", headers=bearer(EVENTS_KEY))
    # no learner has this id
    await client.get(OVERVIEW, params={"user_id": "x" * 600}, headers=READER)
    await client.get(OVERVIEW, params={"user_id": "a\x1bb"}, headers=READER)
    found = await recorded(database)
    assert [(one["outcome"], one["span"]) for one in found[:2]] == [
        ("200", {"days": "7"}),
        ("200", {"hours": "3", "limit": "5"}),
    ]
    assert found[2]["span"]["type"] == "xp_earned"
    assert [(one["outcome"], one["subject"]) for one in found[3:]] == [("422", None)] * 2
    assert max(len(str(one)) for one in found) < 500


async def test_refusals_are_audited_except_those_of_unauthenticated_callers(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    for headers in ({}, bearer("no-such-key"), bearer("a.b.c")):
        assert (await client.get(SYSTEM, headers=headers)).status_code == 401
    assert await recorded(database) == []

    await client.get(SYSTEM, params={"hours": 3}, headers=bearer(WRITE_KEY))
    await client.get(OVERVIEW, params={"user_id": "anna", "days": "ada@example.org", "tz": "x"}, headers=READER)
    await client.get("/api/analytics/privacy/jobs/nonsense", headers=bearer(ADMIN_KEY))
    found = await recorded(database)
    assert [(one["outcome"], one["span"]) for one in found] == [("403", None), ("422", None), ("422", None)]
    assert found[2]["action"] == "GET /api/analytics/privacy/jobs/{job_id}"


async def test_a_question_that_meets_a_defect_is_on_record(
    client: httpx.AsyncClient, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(_parameters: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("dashboard.questions.endpoint.refuse_repeated", defect)
    with pytest.raises(ZeroDivisionError):
        await client.get(OVERVIEW, params={"user_id": "anna"}, headers=READER)
    [entry] = await recorded(database)
    assert (entry["action"], entry["outcome"]) == (f"GET {OVERVIEW}", "500")
    assert entry["subject"] is not None


async def test_no_response_is_sent_that_cannot_be_audited(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await database.execute("ALTER TABLE audit_log RENAME TO gone")
    refused = await client.get(OVERVIEW, params={"user_id": "anna"}, headers=READER)
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
    assert "total_xp" not in refused.text
    await database.execute("ALTER TABLE gone RENAME TO audit_log")
    assert (await client.get(OVERVIEW, params={"user_id": "anna"}, headers=READER)).status_code == 200


async def test_answers_at_the_same_moment_share_a_commit_and_are_all_on_record(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await asyncio.gather(*(client.get(SYSTEM, headers=READER) for _ in range(200)))
    assert await database.fetchval("SELECT count(*) FROM audit_log") == 200
    assert await database.fetchval("SELECT count(DISTINCT xmin::text) FROM audit_log") < 100


async def test_a_failed_audit_entry_fails_only_the_requests_that_wait_for_it() -> None:
    written: list[list[str]] = []
    away = True

    async def write(entries: Any) -> None:
        await asyncio.sleep(0)
        if away:
            raise StorageUnavailable("connection")
        written.append([entry.action for entry in entries])

    trail = AuditTrail(write)

    def record(action: str) -> asyncio.Task[None]:
        return asyncio.create_task(trail.record(AuditEntry(utc_now(), "service:x", action, "200")))

    refused = await asyncio.gather(record("a"), record("b"), return_exceptions=True)
    assert [type(one) for one in refused] == [StorageUnavailable] * 2
    away = False
    impatient, patient = record("c"), record("d")
    await asyncio.sleep(0)
    impatient.cancel()
    await patient
    assert written == [["c", "d"]]


async def test_after_a_pause_an_entry_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SPACING_SECONDS", 3_600.0)
    written: list[int] = []

    async def write(entries: Any) -> None:
        written.append(len(entries))

    await AuditTrail(write).record(AuditEntry(utc_now(), "service:x", "read", "200"))
    assert written == [1]


async def test_a_crowd_is_written_in_groups() -> None:
    written: list[tuple[float, int]] = []
    clock = asyncio.get_running_loop().time

    async def write(entries: Any) -> None:
        written.append((clock(), len(entries)))

    trail, entry = AuditTrail(write), AuditEntry(utc_now(), "service:x", "read", "200")
    for _ in range(20):
        await asyncio.gather(*(trail.record(entry) for _ in range(10)))
    assert [count for _, count in written] == [10] * 20
    moments = [moment for moment, _ in written]
    # a timer may be early by its resolution
    assert all(later - earlier > 0.8 * SPACING_SECONDS for earlier, later in pairwise(moments))


async def test_the_log_can_only_grow_until_an_entrys_time_is_over(
    database: asyncpg.Connection, settings: Settings
) -> None:
    pool = await open_pool(settings.database_dsn, size=1, application_name="test")
    now, retention = utc_now(), timedelta(days=30)
    old, new = (AuditEntry(at, "service:x", "read", "200") for at in (now - timedelta(days=31), now))
    await append_entries(pool, [old, new], retention)
    for statement in (
        "UPDATE audit_log SET actor = 'somebody else'",
        "UPDATE audit_log SET keep_until = now()",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE at > now() - interval '1 hour'",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log (at, actor, action, outcome, keep_until) VALUES (now(), 'x', 'x', 'x', now())",
    ):
        with pytest.raises((asyncpg.RestrictViolationError, asyncpg.CheckViolationError)):
            await database.execute(statement)
    assert await prune_audit_log(pool, now) == 1
    assert await prune_audit_log(pool, now) == 0
    await pool.close()
    assert await database.fetchval("SELECT at FROM audit_log") == now


async def test_commands_are_on_record_before_they_begin_and_the_log_can_be_read(
    settings: Settings, database: asyncpg.Connection, tmp_path: Path
) -> None:
    secret = {"ANALYTICS_API_KEY_SECRET": "the secret of the tests that hashes keys"}
    operator = Operator(settings, tmp_path, secret | dict.fromkeys(("LOGNAME", "USER", "SUDO_USER"), "mallory"))
    await operator.run("keys", "create", "--source", "importer", "--scope", "events:write")
    await operator.run("keys", "revoke", "sia_this_is_a_whole_key_by_mistake")
    await operator.run("dlq", "list")
    await operator.run("dlq", "drop", "--all", "--yes")
    await operator.run("privacy", "export", "anna")
    await operator.run("rebuild")
    entries = (await operator.run("privacy", "log", "--json")).document()
    said = [(one["action"].replace(await key_id(database), "ID"), one["outcome"]) for one in reversed(entries)]
    assert said == [
        *(("keys create ID", outcome) for outcome in ("begun", "done")),
        *(("keys revoke", outcome) for outcome in ("begun", "done")),
        *(("dlq list", outcome) for outcome in ("begun", "done")),
        *(("dlq drop", outcome) for outcome in ("begun", "done")),
        *(("privacy export", outcome) for outcome in ("begun", "done")),
        *(("rebuild", outcome) for outcome in ("begun", "done")),
        ("privacy log", "begun"),
    ]
    # the account that runs the tests, whatever the environment variables say
    assert {one["actor"] for one in entries} == {f"operator:{pwd.getpwuid(os.getuid()).pw_name}"}
    about = (await operator.run("privacy", "log", "--user-id", "anna", "--json")).document()
    assert {one["action"] for one in about} == {"privacy export", "privacy log"}
    everything = await operator.run("privacy", "log")
    assert "privacy export" in everything.out
    assert "there may be more" not in everything.err
    assert "the newest 2 entries; there may be more" in (await operator.run("privacy", "log", "--limit", "2")).err

    await database.execute("ALTER TABLE daily_activity_summary RENAME TO gone")
    assert (await operator.run("rebuild")).code == 3
    newest = (await operator.run("privacy", "log", "--json")).document()
    assert [(one["action"], one["outcome"]) for one in newest[1:3]] == [("rebuild", "failed"), ("rebuild", "begun")]


async def key_id(database: asyncpg.Connection) -> str:
    found: str = await database.fetchval("SELECT key_id FROM api_keys")
    return found
