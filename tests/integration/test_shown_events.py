"""The audit log of a learner lists everyone who saw the learner's events, whatever the search was."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from dashboard.server import open_services
from runtime.clock import utc_now
from runtime.settings import Settings
from storage.privacy.audit import AuditEntry, append_entries
from storage.privacy.learner_data import last_audit_entry, learner_pages
from tests.support.access import EVENTS_KEY
from tests.support.archive import archive
from tests.support.events import event
from tests.support.reading import bearer, client_of
from tests.support.terminal import Operator

SESSION = UUID(int=7)
EVENTS = "/api/analytics/events"
OPERATOR = bearer(EVENTS_KEY)


@pytest.fixture
async def anna(settings: Settings, database: asyncpg.Connection) -> bytes:
    """Events of Anna and of another learner in one session, and events of Anna outside it."""
    anna, ben = (settings.pseudonymizer().pseudonym(name) for name in ("anna", "ben"))
    moment = utc_now() - timedelta(minutes=5)
    of = [(anna, SESSION), (ben, SESSION), (anna, None), (None, SESSION)]
    await archive(
        database,
        [
            event("xp_earned", {"xp_amount": 1}, number=number, occurred_at=moment, user_hash=who, session_id=session)
            for number, (who, session) in enumerate(of)
        ],
    )
    return anna


async def log_of(operator: Operator, name: str) -> list[tuple[str, str, int]]:
    found: list[dict[str, Any]] = (await operator.run("privacy", "log", "--json", "--user-id", name)).document()
    own = [one for one in reversed(found) if one["action"] != "privacy log"]
    return [(one["action"], one["outcome"], one["shown"]) for one in own]


async def test_a_search_by_session_or_time_is_in_the_log_of_every_learner_it_showed(
    settings: Settings, anna: bytes, tmp_path: Path
) -> None:
    operator = Operator(settings, tmp_path)
    async with open_services(settings) as services, client_of(services) as client:
        for asked in ({"session_id": str(SESSION)}, {"session_id": str(UUID(int=8))}, {}, {"user_id": "anna"}):
            reply = await client.get(EVENTS, params=asked, headers=OPERATOR)
            assert reply.status_code == 200
    shown = (f"GET {EVENTS}", "200", 2)
    assert await log_of(operator, "anna") == [shown, shown, (f"GET {EVENTS}", "200", 0)]
    assert await log_of(operator, "ben") == [shown, shown]
    assert await log_of(operator, "cleo") == []


async def test_a_search_in_the_cli_is_logged_before_anything_is_shown(
    settings: Settings, anna: bytes, database: asyncpg.Connection, tmp_path: Path
) -> None:
    operator = Operator(settings, tmp_path)
    await operator.run("events", "--session", str(SESSION))
    assert await log_of(operator, "anna") == [("events", "shown", 2)]
    assert await log_of(operator, "ben") == [("events", "shown", 2)]
    await database.execute("ALTER TABLE audit_log DROP COLUMN shown")
    refused = await operator.run("events", "--session", str(SESSION), "--json")
    assert refused.out == ""
    assert refused.code != 0


async def test_a_learners_log_survives_a_new_key_and_the_export_names_no_other_learner(
    settings: Settings, anna: bytes, database: asyncpg.Connection, tmp_path: Path
) -> None:
    other = settings.pseudonymizer().pseudonym("ben")
    entry = AuditEntry(utc_now(), "service:x", f"GET {EVENTS}", "200", shown=[anna, other])
    await append_entries(database, [entry, AuditEntry(utc_now(), "service:x", "read", "200")], timedelta(days=30))
    keys = settings.pseudonym_keys
    assert keys is not None
    rotated = Operator(settings, tmp_path, {"ANALYTICS_PSEUDONYM_KEYS": f"9:{'9' * 64},{keys.get_secret_value()}"})
    assert await log_of(rotated, "anna") == [(f"GET {EVENTS}", "200", 2)]
    pages = learner_pages(database, [anna], await last_audit_entry(database))
    exported = [row async for table, rows in pages if table == "audit_log" for row in rows]
    assert [one["action"] for one in exported] == [f"GET {EVENTS}"]
    assert "shown" not in exported[0]
    assert other.hex() not in str(exported)


async def test_following_all_events_is_logged_for_every_learner(
    settings: Settings, anna: bytes, database: asyncpg.Connection, tmp_path: Path
) -> None:
    live = AuditEntry(utc_now(), "service:x", "GET /api/analytics/live", "200", span={"about": "everybody"})
    await append_entries(database, [live], timedelta(days=30))
    assert await log_of(Operator(settings, tmp_path), "anna") == [("GET /api/analytics/live", "200", 0)]


async def test_a_dead_letter_that_is_shown_is_in_the_log_of_its_learner(
    settings: Settings, anna: bytes, database: asyncpg.Connection, tmp_path: Path
) -> None:
    payload = json.dumps({"event_type": "no_such_type", "user_hash": anna.hex()})
    await database.execute(
        "INSERT INTO dead_letters (stream_partition, entry_id, reason, detail, payload)"
        " VALUES (0, '1-1', 'x', 'x', $1)",
        payload,
    )
    operator = Operator(settings, tmp_path)
    await operator.run("dlq", "show", "0:1-1")
    assert await log_of(operator, "anna") == [("dlq show", "shown", 1)]
