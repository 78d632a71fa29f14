"""Export and erasure over HTTP: required scopes, answers, and receipts that do not identify the learner."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from asyncpg import Range

from processors.maintenance import process as maintenance
from runtime.settings import Settings
from stream.server.connection import Redis
from telemetry import metrics
from tests.support.access import ADMIN_KEY, READ_KEY, WRITE_KEY
from tests.support.aggregates import Aggregates
from tests.support.checker import assert_nothing_lost
from tests.support.entries import append_events
from tests.support.events import NOW, event
from tests.support.live import all_published, publishing
from tests.support.reading import ANNA, MINUTE, bearer, refusal
from tests.support.terminal import Operator
from tests.support.waiting import eventually
from tests.support.working import working

ADMIN = bearer(ADMIN_KEY)
USER = "/api/analytics/privacy/users/anna"
EXPORT = f"{USER}/export"
JOB = "/api/analytics/privacy/jobs/{}"


@pytest.fixture
async def stored(settings: Settings, redis: Redis, anna: bytes) -> None:
    """Two events of Anna, one of another learner."""
    events = [event("xp_earned", {"xp_amount": 5}, number=number, user_hash=anna) for number in (1, 2)]
    events.append(event("xp_earned", {"xp_amount": 5}, number=3))
    await append_events(redis, events)
    ids = {one.event_id for one in events}
    async with working(settings), publishing(settings):
        await all_published(redis, len(events))
        await assert_nothing_lost(settings, ids, ids)


async def test_privacy_endpoints_require_the_scope(client: httpx.AsyncClient) -> None:
    requests = [("DELETE", USER), ("GET", EXPORT), ("GET", JOB.format(uuid4()))]
    for method, path in requests:
        for headers, status in (({}, 401), (bearer("nobody"), 401), (ANNA, 403), (bearer(READ_KEY), 403)):
            assert (await client.request(method, path, headers=headers)).status_code == status
        assert (await client.request(method, path, headers=bearer(WRITE_KEY))).status_code == 403
    # an unauthorized caller gets no details on parameters
    assert (await client.get(JOB.format("no-uuid"))).status_code == 401
    assert (await client.delete("/api/analytics/privacy/users/%00", headers=ADMIN)).status_code == 422


@pytest.mark.usefixtures("stored")
async def test_everything_that_is_held_is_exported(client: httpx.AsyncClient, anna: bytes) -> None:
    reply = await client.get(EXPORT, headers=ADMIN)
    assert reply.status_code == 200
    export = reply.json()
    assert export["pseudonyms"] == [anna.hex()]
    assert export["erased_at"] is None
    assert {table: len(rows) for table, rows in export["tables"].items() if rows} == {
        "analytics_events": 2,
        "gamification_stats": 1,
        "daily_activity_summary": 1,
        "active_users_hourly": 1,
    }
    assert export["tables"]["gamification_stats"][0]["total_xp"] == 10
    assert [one["event_type"] for one in export["stream"]] == ["xp_earned", "xp_earned"]
    assert [(one["event_type"], one["user_hash"]) for one in export["live"]] == [("xp_earned", anna.hex())] * 2
    assert "anna" not in reply.text


async def test_times_of_a_session_and_materials_are_exported(
    client: httpx.AsyncClient, tables: Aggregates, anna: bytes
) -> None:
    moment, later = NOW + MINUTE, NOW + 5 * MINUTE
    await tables.session(anna, NOW.date(), moment, moment, activity=[Range(moment, later)])
    await tables.material(anna, "m1", viewed_on=NOW.date())
    export = (await client.get(EXPORT, headers=ADMIN)).json()["tables"]
    [session], [material] = export["learning_sessions"], export["learner_materials"]
    [stretch] = session["activity"]
    assert [datetime.fromisoformat(stretch[name]) for name in ("from", "to")] == [moment, later]
    assert (material["material_id"], material["views"]) == ("m1", 1)


@pytest.mark.usefixtures("stored")
async def test_an_erasure_is_a_job_whose_receipt_names_nobody(
    client: httpx.AsyncClient, settings: Settings, anna: bytes
) -> None:
    asked = await client.delete(USER, headers=ADMIN)
    assert asked.status_code == 202
    receipt = asked.json()
    assert (receipt["state"], receipt["requested_by"], receipt["completed_at"]) == ("requested", "tests", None)

    stop = asyncio.Event()
    running = asyncio.create_task(maintenance.run(settings, stop))

    async def is_done() -> bool:
        nonlocal receipt
        receipt = (await client.get(JOB.format(UUID(receipt["job_id"])), headers=ADMIN)).json()
        return bool(receipt["state"] == "done")

    await eventually(is_done)
    stop.set()
    await running
    assert receipt["removed"]["analytics_events"] == receipt["removed"]["stream"] == 2
    assert anna.hex() not in json.dumps(receipt)
    left = (await client.get(EXPORT, headers=ADMIN)).json()
    assert left["erased_at"] is not None
    # the service that requested it stays in the job
    assert {table for table, rows in left["tables"].items() if rows} == {"audit_log"}
    assert left["stream"] == []
    await refusal(client, 404, JOB.format(uuid4()), ADMIN)


@pytest.mark.usefixtures("stored")
async def test_the_same_at_a_terminal(settings: Settings, tmp_path: Path) -> None:
    operator = Operator(settings, tmp_path)
    export = (await operator.run("privacy", "export", "anna")).document()
    assert len(export["tables"]["analytics_events"]) == 2
    assert (await operator.run("privacy", "erase", "anna")).code == 1, "the confirmation was not given"

    stop = asyncio.Event()
    runs = metrics.CHORE_RUNS.labels("remove_suppressed", "ok")._value
    before = runs.get()
    running = asyncio.create_task(maintenance.run(settings, stop))
    # it removes rows of erased learners too, and a receipt counts only those that the job removed
    await eventually(lambda: runs.get() > before)
    receipt = (await operator.run("privacy", "erase", "anna", "--yes")).document()
    stop.set()
    await running
    assert (receipt["state"], receipt["removed"]["analytics_events"]) == ("done", 2)
    left = (await operator.run("privacy", "export", "anna")).document()["tables"]
    assert {table for table, rows in left.items() if rows} == {"audit_log"}

    audit = await operator.run("privacy", "audit", "--json")
    assert (audit.code, audit.document()["overdue"]) == (0, 0)
    held = {one["table"]: one for one in audit.document()["holdings"]}
    assert (held["analytics_events"]["rows"], held["erased_users"]["rows"]) == (1, 1)
    assert held["system_metrics"]["kept"] == 30 * 86_400


async def test_the_audit_finds_data_past_its_retention(settings: Settings, redis: Redis, tmp_path: Path) -> None:
    old = event("xp_earned", {"xp_amount": 5}, received_at=NOW.replace(year=NOW.year - 1))
    await append_events(redis, [old])
    async with working(settings):
        await assert_nothing_lost(settings, {old.event_id}, {old.event_id})
    audit = await Operator(settings, tmp_path).run("privacy", "audit")
    assert audit.code == 1
    [line] = [line for line in audit.out.splitlines() if line.startswith("analytics_events ")]
    assert line.split()[-2:] == ["1", "1"]
