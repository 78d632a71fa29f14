"""Runs a case on a running system: sends its requests, or runs its script if it is described in prose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from runtime.clock import utc_now
from tests.cases.case import Case, at_moment
from tests.cases.decisions import assert_special_case, expected_result
from tests.cases.expectations import assert_as_expected, assert_stored_endpoint, sibling_of
from tests.cases.scripts import SCRIPTS
from tests.cases.stage import Stage
from tests.cases.wire import NotExecutable, Reply, exchange
from tests.support.assembled import Assembled


async def run_case(case: Case, stage: Stage) -> None:
    """Run a case and check its result. Raises AssertionError, or NotExecutable if it cannot be run."""
    if case.steps is not None:
        await _run_requests(case, case.steps, stage)
    elif case.id in SCRIPTS:
        await SCRIPTS[case.id](case, stage)
    else:
        raise NotExecutable(f"{case.id} is described in prose and has no script")


async def _run_requests(case: Case, steps: list[Mapping[str, Any]], stage: Stage) -> None:
    now = utc_now()
    for step in steps[:-1]:
        await exchange(stage.system, at_moment(step, now))
    last = at_moment(steps[-1], now)
    if len(steps) > 1:
        await stage.system.settled()
    reply = await exchange(stage.system, last)
    expected = expected_result(case)
    assert_as_expected(expected, reply)
    if "stored_endpoint" in expected:
        await _check_stored_endpoint(expected["stored_endpoint"], last, reply, stage.system)
    await assert_special_case(case, at_moment(steps, now), reply, stage.system)


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
    assert found is not None, "the event was accepted but not stored"
    return str(found)
