"""Rights that a user of Redis lacks are found by `analytics doctor`, whichever they are."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from redis.asyncio import Redis

from runtime.settings import Settings
from stream.diagnosis.permissions import check_permissions, diagnose_permissions, find_missing
from stream.server.connection import connect
from stream.server.permissions import RULES
from tests.support.redis_users import as_user, redis_users


@pytest.fixture
async def users(redis: Redis) -> AsyncIterator[Mapping[str, str]]:
    async with redis_users(redis) as passwords:
        yield passwords


@pytest.mark.usefixtures("users")
async def test_users_with_their_rules_lack_nothing(redis: Redis) -> None:
    found = await diagnose_permissions(redis)
    assert (found.status, found.detail) == ("ok", "complete for dashboard, ingest, live, maintenance, worker")


async def test_a_server_without_our_users_lacks_nothing(redis: Redis) -> None:
    assert (await diagnose_permissions(redis)).detail == "complete for no user"


@pytest.mark.parametrize("user", RULES)
@pytest.mark.usefixtures("users")
async def test_every_rule_that_is_missing_is_found(redis: Redis, user: str) -> None:
    acl: Any = redis.execute_command
    # everybody may run HELLO
    unnoticed = []
    for left_out in RULES[user]:
        await acl("ACL", "SETUSER", user, "reset", "on", *(rule for rule in RULES[user] if rule != left_out))
        if not (await find_missing(redis))[user]:
            unnoticed.append(left_out)
    assert unnoticed == ["+hello"]


@pytest.mark.parametrize("user", RULES)
@pytest.mark.usefixtures("users")
async def test_the_printed_command_gives_what_is_missing(redis: Redis, user: str) -> None:
    acl: Any = redis.execute_command
    await acl("ACL", "SETUSER", user, "reset", "on")
    found = await diagnose_permissions(redis)
    assert found.status == "fail"
    assert f"missing for {user}: " in found.detail
    await acl(*shlex.split(found.fix.removeprefix("run at Redis: ").split(". Then ACL SAVE")[0]))
    assert (await diagnose_permissions(redis)).status == "ok"


def test_what_is_missing_is_listed_by_user() -> None:
    found = check_permissions({"ingest": ["XADD a"], "live": [], "worker": [f"X{number}" for number in range(11)]})
    assert found.status == "fail"
    assert found.detail == "missing for ingest: XADD a; worker: X0, X1, X2, X3, X4, X5, X6, X7, X8, X9 .."


async def test_a_login_without_the_right_to_see_rights_finds_nothing(
    settings: Settings, users: Mapping[str, str]
) -> None:
    client = connect(as_user(settings, "worker", users))
    found = await diagnose_permissions(client)
    await client.aclose()
    assert (found.status, found.detail) == (
        "ok",
        "not readable by this login: it lacks the right to ACL USERS and ACL DRYRUN (+acl)",
    )
