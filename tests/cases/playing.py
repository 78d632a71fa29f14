"""Plays a case on a running system: requests as they are told, or a script for what is told in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from runtime.clock import utc_now
from tests.cases.case import Case, at_moment
from tests.cases.decisions import assert_as_decided, decided
from tests.cases.expectations import assert_as_expected, assert_stored_endpoint, sibling_of
from tests.cases.scripts import SCRIPTS
from tests.cases.stage import Stage
from tests.cases.wire import NotExecutable, Reply, exchange
from tests.support.assembled import Assembled


async def play(case: Case, stage: Stage) -> None:
    """Play a case and judge it. Raises AssertionError, or NotExecutable for one that nobody understands."""
    if case.steps is not None:
        await _play_requests(case, case.steps, stage)
    elif case.id in SCRIPTS:
        await SCRIPTS[case.id](case, stage)
    else:
        raise NotExecutable(f"{case.id} is told in words, and no script plays it")


async def _play_requests(case: Case, steps: list[Mapping[str, Any]], stage: Stage) -> None:
    now = utc_now()
    for step in steps[:-1]:
        await exchange(stage.system, at_moment(step, now))
    last = at_moment(steps[-1], now)
    if len(steps) > 1:
        await stage.system.settled()
    reply = await exchange(stage.system, last)
    expected = decided(case)
    assert_as_expected(expected, reply)
    if "stored_endpoint" in expected:
        await _check_stored_endpoint(expected["stored_endpoint"], last, reply, stage.system)
    await assert_as_decided(case, at_moment(steps, now), reply, stage.system)


async def _check_stored_endpoint(wanted: str, request: Mapping[str, Any], reply: Reply, system: Assembled) -> None:
    sent = request["json"]["properties"]["endpoint"]
    properties = request["json"]["properties"] | {"endpoint": sibling_of(sent)}
    sibling = await exchange(system, {**request, "json": {**request["json"], "properties": properties}})
    await system.settled()
    stored, other = [await _stored_endpoint(each, system) for each in (reply, sibling)]
    assert_stored_endpoint(wanted, sent, stored, other)


async def _stored_endpoint(reply: Reply, system: Assembled) -> str:
    database = await asyncpg.connect(system.settings.database_dsn)
    try:
        found = await database.fetchval(
            "SELECT properties->>'endpoint' FROM analytics_events WHERE event_id = $1", reply.document["event_id"]
        )
    finally:
        await database.close()
    assert found is not None, "accepted and not stored"
    return str(found)
